"""Numbers on two people in cities nobody chose: how many are found, who is told apart without cause, and whether ids
stay while the register corrects what it got wrong."""

from pathlib import Path

import duckdb
import pytest

from citylake.compared import rows
from pipelines.contracts.load import load
from pipelines.linkage import tables
from pipelines.linkage.bearers import SHARED as WHY
from pipelines.linkage.reviews import Reviews
from pipelines.preparation import core_versions
from pipelines.register.receipts import Receipts, Stage
from pipelines.run import opened
from simulator import DirtRates
from tests.city import Town, seed_from_clock

pytestmark = [pytest.mark.slow, pytest.mark.server]
REGISTER = "psb/household_person"
SOURCES = (REGISTER, "psb/floating_person", "hc/health_record", "cab/subsistence_allowance")
PERSONS, SHARED, DAYS = 20_000, 0.002, 3


def linked(town: Town, number: int) -> None:
    """What a run does before it builds models, with the sources that say whom their rows are about."""

    with opened(town.settings, f"day {number}") as run:
        for source in SOURCES:
            run.ingest(source)
        versions = core_versions(run.contracts, run.settings.lake, run.receipts)
        run.preparation.prepare({name: versions[name] for name in SOURCES}, number)
        assert not run.failures.subjects, run.failures.subjects


def parted(town: Town) -> dict[str, str]:
    """Records that bear or bore a number of two people: the ids of their persons."""
    read = tables.read(town.settings.lake, tables.LINK)
    with duckdb.connect() as con:
        return dict(con.execute(f"SELECT row_key, person_id FROM {read} WHERE dataset = '{REGISTER}'").fetchall())


def test_numbers_on_two_people_are_found_and_nobody_loses_an_id(tmp_path_factory: pytest.TempPathFactory) -> None:
    seed = seed_from_clock()
    print(f"\ncity seed {seed} (repeat with CITYLAKE_TEST_SEED)")
    folder: Path = tmp_path_factory.mktemp("town")
    town = Town(folder, PERSONS, seed, dirt=DirtRates(shared=SHARED))
    try:
        contracts, before = load(town.settings.contracts), dict[str, str]()
        for day in range(1, DAYS + 1):
            linked(town, day)
            compared = rows.compare(
                contracts.sources[REGISTER], contracts, town.settings.lake, town.city.planted(), town.city.today
            )
            (score,) = [one for one in compared.scores if one.kind == rows.SHARED]
            with town.register() as register:
                links = Receipts(register, "test").last(Stage.LINK, "linkage")
                asked = [one for one in Reviews(register).open() if one["why"] == WHY]
            wrong = len(asked) - score.planted
            print(f"day {day}: {score}; {links.body['events'] if links else None}; {wrong} asked without cause")
            assert score.recall >= 0.9 and score.precision == 1
            assert wrong <= 0.0002 * PERSONS
            now = parted(town)
            assert {key: now[key] for key in before} == before, "who was told apart keeps the id"
            before = now
            town.city.tick()
    finally:
        town.close()
