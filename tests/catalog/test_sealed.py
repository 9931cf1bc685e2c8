"""Sealed columns: on every road each recipient's own ciphertexts, which its key opens and nothing else does."""

import csv
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from catalog.delivery import sealing_keys
from catalog.delivery.desk import Desk
from catalog.policy import audit, epochs, users
from citylake.main import app
from pipelines import engine
from pipelines.codecs.sm4 import PREFIX
from pipelines.lake.errors import LostKey
from pipelines.messages import CitylakeError
from pipelines.privacy import channel_keys
from pipelines.release.products import product_query
from pipelines.settings import REPOSITORY
from tests.catalog.every_road import Roads, folder_in_memory
from tests.catalog.small_city import GUARD, PERSONS, STEWARD, City

ROWS = 30
MODEL = f"""
select md5('p' || i) as person_id, '34150219800101' || lpad(cast(i // 2 as varchar), 4, '0') as id_number,
    '张三' as name, '1' as sex, date '1980-01-01' as birth_date, '341502001001' as division_code,
    '金安区' as county_name, '中市街道' as town_name, '20' as education,
    case when i = 7 then null else '1' end as residence_status
from range({ROWS}) t(i)
"""
EXAMPLE = (REPOSITORY / "docs/sealed.md").read_text("utf-8").partition("```python\n")[2].partition("```")[0]


@pytest.fixture(scope="module")
def sealing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    """A city that shows identity numbers sealed; its release is made of a model by the masks themselves."""
    with folder_in_memory() as home:
        city = City(home)
        file = city.own_contracts() / "products/population/person.yaml"
        text = file.read_text("utf-8")
        assert text.count("{name: id_number, mask: id_6_4}") == 1
        file.write_text(text.replace("{name: id_number, mask: id_6_4}", "{name: id_number, mask: sealed}"), "utf-8")
        city.contracts = Desk(city.settings, city.register).listing.snapshot().contracts
        cut = home / "cut.parquet"
        with engine.connect(city.settings.lake.scratch()) as con:
            channel_keys.register(con, city.settings.key, "sharing", ("pseudonym", "sealed"))
            query = product_query(city.contracts.products[PERSONS], f"({MODEL})")
            con.execute(f"COPY ({query}) TO '{cut}' (FORMAT parquet)")
        city.release(PERSONS, query=f"SELECT * FROM '{cut}'")
        yield city


def numbers() -> list[str]:
    return [f"34150219800101{number // 2:04}" for number in range(ROWS)]


def key_file(city: City, name: str, folder: Path) -> Path:
    target = folder / "keys.json"
    sealing_keys.write(Desk(city.settings, city.register), name, PERSONS, target, "核对", actor=GUARD)
    return target


@pytest.mark.long
def test_what_is_released_holds_no_value_and_opens_by_the_channels_key(sealing: City) -> None:
    shown = sealing.values(PERSONS, "id_number")
    sealer = channel_keys.sealer_of(sealing.settings.key, "sharing")
    assert sorted(map(sealer.open, shown)) == sorted(numbers())
    folder = sealing.settings.lake.product(*PERSONS.split("/"))
    for file in (one for one in folder.rglob("*") if one.is_file()):
        assert b"34150219800101" not in file.read_bytes()
    column = next(one for one in sealing.contracts.products[PERSONS].columns if one.name == "id_number")
    assert (column.level, column.sealed, column.pseudonymised) == (3, True, False)


def test_each_recipient_has_its_own_on_every_road_and_opens_it_without_citylake(sealing: City, tmp_path: Path) -> None:
    roads = Roads(sealing, sealing.client())
    tokens = {name: sealing.recipient(name) for name in ("甲", "乙")}
    for name in tokens:
        sealing.grant(name)
    seen: dict[str, set[str | None]] = {}
    for name, token in tokens.items():
        found = []
        for way in ("download csv", "query", "rows ndjson", "rows parquet"):
            answer = roads.read(way, PERSONS, token)
            place = answer.columns.index("id_number")
            found.append({row[place] for row in answer.rows})
        assert all(one == found[0] for one in found) and len(found[0]) == ROWS // 2, "equal values, equal ciphertexts"
        seen[name] = found[0]
    released = set(sealing.values(PERSONS, "id_number"))
    assert not seen["甲"] & seen["乙"] and not (seen["甲"] | seen["乙"]) & released
    assert all((text or "").startswith(PREFIX) for text in seen["甲"])
    rows = tmp_path / "rows.csv"
    rows.write_bytes(roads.get(f"/datasets/{PERSONS}/download/csv", tokens["甲"]).content)
    (tmp_path / "open.py").write_text(EXAMPLE, "utf-8")
    key_file(sealing, "甲", tmp_path)
    command = [sys.executable, "-I", "open.py", rows.name]
    made = subprocess.run(command, cwd=tmp_path, env={}, capture_output=True, text=True, encoding="utf-8")
    assert made.returncode == 0, made.stderr
    assert sorted(re.findall(r"'id_number': '(\d+)'", made.stdout)) == sorted(numbers())
    key_file(sealing, "乙", tmp_path)
    foreign = subprocess.run(command, cwd=tmp_path, env={}, capture_output=True, text=True, encoding="utf-8")
    assert foreign.returncode != 0 and "InvalidTag" in foreign.stderr and not foreign.stdout


def test_keys_are_handed_out_by_the_security_officer_and_audited_without_them(sealing: City, tmp_path: Path) -> None:
    sealing.recipient("丙")
    sealing.grant("丙", columns=["id_number", "sex"])
    sealing.recipient("丁")
    sealing.grant("丁", columns=["sex"])
    desk = Desk(sealing.settings, sealing.register)
    with pytest.raises(users.NotAllowed):
        sealing_keys.write(desk, "丙", PERSONS, tmp_path / "no.json", "核对", actor=STEWARD)
    for name, code in (("丁", "sealing.none"), ("无", "pseudonym.not_shown")):
        with pytest.raises(CitylakeError) as error:
            sealing_keys.write(desk, name, PERSONS, tmp_path / "no.json", "核对", actor=GUARD)
        assert error.value.code == code and not (tmp_path / "no.json").exists()
    keys = json.loads(key_file(sealing, "丙", tmp_path).read_text("utf-8"))
    assert (keys["recipient"], keys["epoch"], [*keys["keys"]]) == ("丙", 1, ["id_number"])
    (row,) = [one for one in audit.recent(sealing.register, 5) if one["action"] == sealing_keys.ACT][:1]
    assert row["body"]["columns"] == ["id_number"] and row["body"]["actor"] == GUARD and row["version"] is None
    assert keys["keys"]["id_number"] not in str(audit.recent(sealing.register, 50))
    assert audit.first_break(sealing.register) is None


def test_a_rotation_seals_anew_and_the_old_key_opens_nothing_more(sealing: City, tmp_path: Path) -> None:
    roads, token = Roads(sealing, sealing.client()), sealing.recipient("戊")
    sealing.grant("戊", columns=["id_number"])
    old, before = (
        json.loads(key_file(sealing, "戊", tmp_path).read_text("utf-8")),
        roads.read("rows ndjson", PERSONS, token),
    )
    epochs.rotate(sealing.register, "戊", "试", actor=GUARD, zone="Asia/Shanghai")
    after = roads.read("rows ndjson", PERSONS, token)
    new = json.loads(key_file(sealing, "戊", tmp_path).read_text("utf-8"))
    assert not set(before.rows) & set(after.rows) and before.rows.total() == after.rows.total() == ROWS
    assert (old["epoch"], new["epoch"]) == (1, 2) and old["keys"] != new["keys"]
    desk = Desk(sealing.settings, sealing.register)
    allowed = desk.admit(desk.callers.on_behalf("戊"), PERSONS, "test", "rows").allowed
    assert (allowed.sealed, allowed.epoch.number) == (("id_number",), 2)
    assert allowed.epoch.since is not None, "the border that no change set crosses (test_epochs)"


def test_the_command_writes_a_file_for_its_owner_only(
    sealing: City, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealing.recipient("己")
    sealing.grant("己")
    monkeypatch.setenv("CITYLAKE_HOME", str(sealing.settings.home))
    monkeypatch.setenv("CITYLAKE_PROJECT", str(sealing.settings.project))
    target = tmp_path / "己.json"
    command = ["access", "sealing-key", "己", PERSONS, str(target), "--who", GUARD, "--why", "核对"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert target.stat().st_mode & 0o777 == 0o600 and "id_number" in result.output
    key = json.loads(target.read_text("utf-8"))["keys"]["id_number"]
    assert key not in result.output and CliRunner().invoke(app, command).exit_code == 1, "a file that is there stays"


@pytest.mark.parametrize("restored", [None, "5a" * 32], ids=["gone", "another"])
def test_without_the_channels_key_every_road_says_so_and_none_is_made(
    sealing: City, restored: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    file = sealing.settings.key_file("sealed_sharing")
    kept, name = file.read_text("utf-8"), "庚" if restored is None else "辛"
    roads, token = Roads(sealing, sealing.client()), sealing.recipient(name)
    sealing.grant(name, columns=["id_number", "sex"])
    file.unlink()
    try:
        if restored is not None:
            file.write_text(restored, "utf-8")
        for way in ("download csv", "query", "rows ndjson", "rows parquet"):
            caplog.clear()
            assert roads.read(way, PERSONS, token).status == 503, way
            assert str(file) in caplog.text and numbers()[0] not in caplog.text
        assert file.exists() == (restored is not None)
    finally:
        file.write_text(kept, "utf-8")
    assert roads.read("rows ndjson", PERSONS, token).rows.total() == ROWS


def test_the_key_of_recipients_is_made_once(sealing: City) -> None:
    """Not for a second time: what was shown keyed and the keys that were handed out would be another's."""
    file = sealing.settings.key_file("recipients")
    roads, token = Roads(sealing, sealing.client()), sealing.recipient("壬")
    sealing.grant("壬", columns=["sex"])
    assert roads.read("rows ndjson", PERSONS, token).status == 200
    sealing.recipient("癸")
    sealing.grant("癸")
    desk = Desk(sealing.settings, sealing.register)
    seen = desk.admit(desk.callers.on_behalf("癸"), PERSONS, "rows.read", "rows")
    kept = file.read_text("utf-8") if file.exists() else None
    assert kept is not None
    desk.answered(seen, "rows.read", "rows")
    file.unlink()
    try:
        with pytest.raises(LostKey, match=file.name):
            Desk(sealing.settings, sealing.register).views.extract(seen.allowed)
        assert not file.exists()
        other = sealing.recipient("子")
        sealing.grant("子")
        assert Roads(sealing, sealing.client()).read("rows ndjson", PERSONS, other).status == 503
    finally:
        file.write_text(kept, "utf-8")


def test_a_key_of_recipients_that_never_was_is_made(own_city: City) -> None:
    """Reads that showed nothing keyed need none, and do not tell of one."""
    file = own_city.settings.key_file("recipients")
    roads, token = Roads(own_city, own_city.client()), own_city.recipient("甲")
    own_city.grant("甲", columns=["sex", "name"])
    assert roads.read("rows ndjson", PERSONS, token).status == 200 and not file.exists()
    other = own_city.recipient("乙")
    own_city.grant("乙")
    assert roads.read("rows ndjson", PERSONS, other).status == 200 and file.exists()
    file.unlink()
    third = own_city.recipient("丙")
    own_city.grant("丙")
    assert Roads(own_city, own_city.client()).read("rows ndjson", PERSONS, third).status == 503 and not file.exists()


def test_a_csv_of_the_example_is_read_as_it_is() -> None:
    """What the documentation shows is a program as it stands."""
    compile(EXAMPLE, "sealed.md", "exec")
    assert "citylake" not in EXAMPLE and csv.__name__ in EXAMPLE
