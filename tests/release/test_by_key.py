"""Runs of a town build by key what they can, and publish the rows of a whole build; from the version published last."""

from collections.abc import Iterator
from typing import Any

import duckdb
import pytest

from pipelines.contracts.dbt import generated
from pipelines.erasure.order import Erasure, Order
from pipelines.lake import delta
from pipelines.lake.build import build
from pipelines.lake.edition import Edition, Released, write_snapshot
from pipelines.lake.zones import library_of
from pipelines.linkage import tables
from pipelines.preparation import core_versions
from pipelines.register.receipts import Receipts, Stage
from pipelines.release import plan
from pipelines.run import opened
from tests.city import Town, published_town

pytestmark = [pytest.mark.server, pytest.mark.long]

POPULATION = "lib_population__"
BY_KEY = [
    f"{POPULATION}{name}" for name in ("conflict", "household", "person", "person_tag", "relation", "relation_conflict")
]
SOURCES = ("psb/household_person", "psb/floating_person", "hc/health_record", "cab/marriage", "cab/cremation")


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    town = published_town(tmp_path_factory, tmp_path_factory.mktemp("town"))
    yield town
    town.close()


def how(town: Town, run_id: str) -> dict[str, str]:
    """Why each model with a key was built whole by a run; nothing if it was not."""
    with town.register() as register:
        (receipt,) = [one for one in Receipts(register, run_id).of_run(run_id) if one.stage == Stage.BUILD]
    return {name: one["why"] for name, one in receipt.body["by_key"].items()}


def whole(town: Town, name: str) -> dict[str, list[tuple[Any, ...]]]:
    """The rows of a whole build of what core has now."""
    with opened(town.settings, name) as run:
        edition = Edition(name, run.today, core_versions(run.contracts, run.lake, run.receipts), tables.shown(run.lake))
        released = [
            Released(library_of(one), one, run.lake.released(library_of(one), one), entry.version)
            for one, entry in run.ledger.published().items()
            if "/" not in one and entry.version is not None
        ]
        snapshot = run.lake.scratch() / f"{name}.json"
        write_snapshot(snapshot, edition, released, set(BY_KEY))
        files = generated(run.contracts, run.today)
        result = build(
            run.settings.dbt_project, run.lake, name, snapshot, BY_KEY, work=run.settings.home / "dbt", generated=files
        )
        found = {}
        for model, one in result.models.items():
            if one.location is not None:
                read = delta.scan(delta.open_table(one.location, one.version))
                found[model] = duckdb.sql(f"SELECT {read.columns} FROM {read.source} ORDER BY ALL").fetchall()
    assert result.by_key == {}
    return found


def require_equal(town: Town, name: str) -> None:
    for model, rows in whole(town, name).items():
        assert town.rows(model) == rows, model


def test_a_day_of_a_town(town: Town) -> None:
    versions = {name: entry.version for name, entry in town.published().items()}
    town.city.tick(2)
    town.run("second", sources=SOURCES)
    assert how(town, "second") == dict.fromkeys(BY_KEY, "")
    assert all(town.published()[name].version != versions[name] for name in BY_KEY)
    require_equal(town, "whole-second")


def test_models_of_which_no_key_changed(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are built again where one of their products did not come out."""
    monkeypatch.setattr(plan, "outdated", lambda *_: list(BY_KEY))
    with opened(town.settings, "nothing changed") as run:
        result = run._build().result
        assert result is not None
        assert {name: one.why for name, one in result.by_key.items()} == dict.fromkeys(BY_KEY, "")
        for name in BY_KEY:
            one = result.models[name]
            assert one.status == "success" and one.location is not None, one.message
            read = delta.scan(delta.open_table(one.location, one.version))
            rows = duckdb.sql(f"SELECT {read.columns} FROM {read.source} ORDER BY ALL").fetchall()
            assert rows == town.rows(name), name


@pytest.mark.slow
def test_killed_runs_and_erasures_of_a_town(town: Town) -> None:
    town.city.tick(1)  # this run dies before anything is released: the next starts from what is published
    with opened(town.settings, "killed") as run:
        for source in SOURCES:
            run.ingest(source)
        assert run._build().result is not None
    town.city.tick(1)
    town.run("third", sources=SOURCES)
    assert how(town, "third") == dict.fromkeys(BY_KEY, "")
    require_equal(town, "whole-third")

    person = town.rows(BY_KEY[2], "person_id", f"residence_status = '1' AND {town.alone('person_id')}")[0][0]
    with opened(town.settings, "erase", erasing=True) as run:
        Erasure(town.settings, run.contracts, run.register).carry_out(person, Order("删1号", "专员", "本人申请删除"))
    town.run("fourth", sources=SOURCES)
    assert how(town, "fourth") == dict.fromkeys(BY_KEY, "code")  # what they were built from is no more
    require_equal(town, "whole-fourth")
