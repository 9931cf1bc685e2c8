"""What is made before anybody asks: found by the first reader, whoever he is, and no harm to a release if it fails."""

import os
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from assets.ahead import ahead as asset
from catalog.delivery import ahead
from catalog.delivery.desk import Desk
from catalog.delivery.folders import Folders
from catalog.delivery.rows import keys
from catalog.policy import suspension
from citylake.main import app
from pipelines.erasure.order import Erasure, Order
from pipelines.issues import Issues
from pipelines.lake.errors import DiskFull
from pipelines.register.tables import access
from pipelines.run import opened
from tests.catalog.small_city import AGES, APPROVER, DIVISIONS, GUARD, PERSONS, STEWARD, City, bearer

ROWS = f"/api/v1/products/{PERSONS}/rows"
AGE = f"/api/v1/products/{AGES}/rows?county_code=eq.341502&sex=eq.1&age_band=eq.00-04"
TABLE = "/delta-sharing/shares/sharing/schemas/population/tables/person_of_division"


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of folders that are built from now on, in any process' stead: this one's."""
    names, build = list[str](), Folders._build

    def counted(self: Folders, target: Path, how: Callable[[Path], None]) -> None:
        names.append(target.name)
        build(self, target, how)

    monkeypatch.setattr(Folders, "_build", counted)
    return names


def materialized(city: City) -> dict[str, int]:
    """Run the asset as after a release; how many are ready and how many are not."""
    with opened(city.settings, "dagster") as run:
        made = dg.materialize([asset], resources={"run": run})
    assert made.success
    (event,) = made.get_asset_materialization_events()
    return {label: value.value for label, value in event.materialization.metadata.items()}  # type: ignore[misc]


@contextmanager
def as_command(city: City, monkeypatch: pytest.MonkeyPatch) -> Iterator[CliRunner]:
    monkeypatch.setenv("CITYLAKE_HOME", str(city.settings.home))
    monkeypatch.setenv("CITYLAKE_PROJECT", str(city.settings.project))
    yield CliRunner()


def test_after_a_release_the_first_reader_finds_view_rows_and_index(own_city: City, built: list[str]) -> None:
    tokens = {name: own_city.recipient(name) for name in ("全部", "部分", "表格")}
    own_city.grant("全部")
    own_city.grant("部分", divisions=["341502"])
    own_city.grant("表格", columns=["name", "sex"], roads=["delta_sharing"])
    client = own_city.client()
    told = materialized(own_city)
    assert (told["已备好（份）"], told["未备好（份）"]) == (4, 0), "three policies of persons, one of the open counts"
    assert len([name for name in built if "-keys" in name]) == 3, "two of persons, one of the open counts"
    before = list(built)
    assert materialized(own_city) == told and built == before, "what is there is not made again"
    for name in ("全部", "部分"):
        (ref,) = client.get(f"{ROWS}?fields=person_ref&limit=1", headers=bearer(tokens[name])).json()
        found = client.get(f"{ROWS}?person_ref=eq.{ref['person_ref']}", headers=bearer(tokens[name]))
        assert (found.status_code, len(found.json())) == (200, 1)
    assert client.post(f"{TABLE}/query", json={}, headers=bearer(tokens["表格"])).status_code == 200
    assert len(client.get(AGE).json()) == 1
    assert built == before
    own_city.release(PERSONS, 50)
    materialized(own_city)
    new = built[len(before) :]
    client.get(f"{ROWS}?person_ref=eq.x", headers=bearer(tokens["全部"]))
    assert new and built == before + new


def test_what_nobody_may_read_now_is_not_made(own_city: City, built: list[str]) -> None:
    for name in ("无授权", "切断", "待批"):
        own_city.recipient(name)
    own_city.grant("切断")
    suspension.suspend(own_city.register, own_city.contracts, "recipient", "切断", "测试", actor=GUARD)
    materialized(own_city)
    folders = {folder.parts[-3] for folder in (own_city.settings.lake.root / "views").glob("*/*/v*/*")}
    assert PERSONS.split("/")[1] not in folders and AGES.split("/")[1] in folders


def test_older_versions_go_when_nobody_used_them_for_a_day(own_city: City) -> None:
    own_city.recipient("甲")
    own_city.grant("甲")
    materialized(own_city)
    old = own_city.settings.lake.root / "views" / PERSONS / "v0"
    assert old.is_dir()
    os.utime(old, (time.time() - 90_000,) * 2)
    own_city.release(PERSONS, 50)
    materialized(own_city)
    assert not old.exists() and old.with_name("v1").is_dir()


def test_a_view_that_cannot_be_made_is_an_issue_and_fails_nothing(
    own_city: City, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = own_city.recipient("甲")
    own_city.grant("甲")
    with monkeypatch.context() as broken:

        def unforeseen(*_: object) -> None:
            raise duckdb.IOException("张三")

        broken.setattr(keys, "ready", unforeseen)
        told = materialized(own_city)
    assert told["未备好（份）"] >= 2
    (issue,) = [one for one in Issues(own_city.register).open(PERSONS) if one["code"] == "ahead.failed"]
    assert (issue["severity"], issue["owner"]) == ("warning", own_city.contracts.city.operator)
    assert "IOException" in issue["text"]["zh"] and "张三" not in str(issue) and "甲" not in str(issue)
    assert own_city.client().get(f"{ROWS}?person_ref=eq.x", headers=bearer(token)).status_code == 200
    materialized(own_city)
    assert not [one for one in Issues(own_city.register).open() if one["code"] == "ahead.failed"]


def test_what_fails_on_one_road_leaves_out_no_other(own_city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows cannot be put in order under one policy; a road that comes later has another."""
    own_city.recipient("甲")
    own_city.grant("甲", divisions=["341502"], roads=["rows"])
    (given,) = own_city.register.rows(sa.select(access))
    other = {**given, "id": given["id"] + 1, "divisions": None, "columns": ["person_ref", "sex"], "roads": ["files"]}
    with own_city.register.begin() as connection:  # no command gives a second one for the same time
        connection.execute(sa.insert(access).values(**other))

    def unforeseen(*_: object) -> None:
        raise duckdb.IOException("张三")

    monkeypatch.setattr(keys, "ready", unforeseen)
    made = ahead.after_grant(Desk(own_city.settings, own_city.register), "甲", PERSONS)
    assert (len(made.ready), made.problems) == (1, ["IOException"])


def test_a_full_disk_ends_it(own_city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    own_city.release(DIVISIONS, 3)
    own_city.recipient("甲")
    own_city.grant("甲")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(keys, "ready", full)
    (only,) = [made for made in ahead.after_release(Desk(own_city.settings, own_city.register)) if made.problems]
    assert only.full and only.problems == [DiskFull.__name__] and only.product == AGES
    assert ahead.after_grant(Desk(own_city.settings, own_city.register), "甲", PERSONS).full


def test_a_grant_that_comes_into_force_makes_what_it_opens(
    own_city: City, built: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the commands: what waits for approval makes nothing until it has it."""
    token = own_city.recipient("甲")
    query = f"{ROWS}?person_ref=eq.x"
    with as_command(own_city, monkeypatch) as cli:
        given = ["access", "grant", "甲", PERSONS, "--purpose", "核验测试", "--who", STEWARD]
        done = cli.invoke(app, given)
        assert done.exit_code == 0, done.output
        assert '"pending": true' in done.output and built == []
        assert cli.invoke(app, ["access", "approve", "1", "--who", APPROVER]).exit_code == 0
    before = list(built)
    assert any("-keys" in name for name in before)
    assert own_city.client().get(query, headers=bearer(token)).status_code == 200
    assert built == before
    with as_command(own_city, monkeypatch) as cli:
        rotate = ["access", "rotate-pseudonyms", "甲", "--who", GUARD, "--why", "年度更换"]
        assert cli.invoke(app, rotate).exit_code == 0
    after = list(built)
    assert len(after) > len(before), "new pseudonyms are another view"
    assert own_city.client().get(query, headers=bearer(token)).status_code == 200
    assert built == after


@pytest.mark.parametrize("whom", [["甲"], ["psb", "--organisation"]])
def test_who_is_let_in_again_finds_all_made(
    own_city: City, built: list[str], monkeypatch: pytest.MonkeyPatch, whom: list[str]
) -> None:
    """A version that came while they were cut off is made when that ends."""
    token = own_city.recipient("甲")
    own_city.grant("甲", divisions=["341502"])
    with as_command(own_city, monkeypatch) as cli:
        act = [*whom, "--who", GUARD, "--why", "核实"]
        assert cli.invoke(app, ["access", "suspend", *act]).exit_code == 0
        own_city.release(PERSONS, 60)
        assert built == []
        done = cli.invoke(app, ["access", "lift", *act])
        assert done.exit_code == 0, done.output
    before = list(built)
    assert any("-keys" in name for name in before)
    assert own_city.client().get(f"{ROWS}?person_ref=eq.x", headers=bearer(token)).status_code == 200
    assert built == before


def test_an_erasure_leaves_nothing_to_make_for_the_first_reader(
    own_city: City, built: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It drops every view; the command makes those of grants in force again."""
    token = own_city.recipient("甲")
    own_city.grant("甲")
    materialized(own_city)
    done = {"places": {}, "refused": [], "kept": [], "unknown": [], "files": {}}

    def carried_out(_: Erasure, person: str, order: Order) -> dict[str, Any]:
        shutil.rmtree(own_city.settings.lake.root / "views")
        return done

    monkeypatch.setattr(Erasure, "carry_out", carried_out)
    built.clear()
    with as_command(own_city, monkeypatch) as cli:
        order = ["--order", "六政删〔2026〕3号", "--who", GUARD, "--why", "本人申请"]
        told = cli.invoke(app, ["person", "x", "erase", *order])
        assert told.exit_code == 0, told.output
    before = list(built)
    assert any("-keys" in name for name in before)
    assert own_city.client().get(f"{ROWS}?person_ref=eq.x", headers=bearer(token)).status_code == 200
    assert own_city.client().get(AGE).status_code == 200
    assert built == before
