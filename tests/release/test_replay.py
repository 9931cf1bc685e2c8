"""Replay: kept batches judged again by the contract of now; files and sensors that come while nobody looks."""

import shutil
from collections.abc import Iterator
from datetime import timedelta

import pytest
import sqlalchemy as sa

from pipelines.lake import delta
from pipelines.messages import CitylakeError
from pipelines.register.receipts import Stage
from pipelines.register.store import now
from pipelines.register.tables import receipt
from pipelines.run import Ingested, opened
from tests.city import REPOSITORY, Town

pytestmark = [pytest.mark.server, pytest.mark.long]

SOURCE = "drc/permit"


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    folder = tmp_path_factory.mktemp("replay")
    shutil.copytree(REPOSITORY / "data_contracts", folder / "project" / "data_contracts")
    shutil.copytree(REPOSITORY / "dbt_project", folder / "project" / "dbt_project")
    town = Town(folder, persons=4_000, project=folder / "project")
    yield town
    town.close()


def ingest(town: Town, source: str) -> Ingested:
    with opened(town.settings, "test") as run:
        return run.ingest(source)


def core_rows(town: Town, source: str) -> int:
    return delta.row_count(delta.open_table(town.settings.lake.core(*source.split("/"))))


def test_rows_refused_by_a_rule_come_back_when_it_is_mended(town: Town) -> None:
    contract = town.settings.contracts / "sources" / "drc" / "permit.yaml"
    right = contract.read_text("utf-8")
    contract.write_text(right + "  - differs: {column: authority_uscc, other: authority_uscc}\n", "utf-8")
    refused = ingest(town, SOURCE).admitted
    assert refused.accepted == 0 and refused.refused == refused.received > 100
    contract.write_text(right, "utf-8")
    assert ingest(town, SOURCE).admitted.inserted < 20  # but for those within the overlap, nobody sends them again
    with opened(town.settings, "replay") as run:
        done = run.replay(SOURCE, run.today, run.today).admitted
        again = run.replay(SOURCE, run.today, run.today).admitted
    assert done.inserted > 100 and done.received >= refused.received
    assert (again.inserted, again.updated, again.deleted) == (0, 0, 0)
    assert ingest(town, SOURCE).status in ("admitted", "unchanged")


def test_a_replay_needs_batches_that_are_in_force(town: Town) -> None:
    source = "dsrb/division"
    with opened(town.settings, "replay") as run:
        with pytest.raises(CitylakeError, match="没有收到批次"):
            run.replay(source, run.today, run.today)
        run.ingest(source)
        with run.register.begin() as connection:
            pull = (receipt.c.subject == source) & (receipt.c.stage == Stage.PULL.value)
            connection.execute(sa.update(receipt).where(pull).values(at=now() - timedelta(9)))
    contract = town.settings.contracts / "sources" / "dsrb" / "division.yaml"
    contract.write_text(contract.read_text("utf-8").replace("volumeFloor: 0.9", "volumeFloor: 0.8"), "utf-8")
    with opened(town.settings, "another batch") as run:
        run.ingest(source)
        with pytest.raises(CitylakeError, match=f"{run.today} 收到的第 2 批取代"):
            run.replay(source, run.today - timedelta(9), run.today - timedelta(8))


def test_every_dropped_file_is_a_batch_and_none_is_taken_twice(town: Town) -> None:
    first = ingest(town, "hc/birth_certificate")
    town.city.tick(3)
    assert (first.status, first.admitted.batch) == ("admitted", 1)
    with opened(town.settings, "three files") as run:
        assert run.ingest("hc/birth_certificate").admitted.batch == 4
        pulls = run.receipts.pulls("hc/birth_certificate")
        origins = [pull.body["origin"] for pull in pulls]
        assert origins == sorted(origins) and len(set(origins)) == 4
        for pull in pulls:
            kept = (
                town.settings.lake.raw("hc", "birth_certificate") / str(pull.batch) / f"original-{pull.body['origin']}"
            )
            assert kept.read_bytes() == (town.city.home / "drops" / "hc" / pull.body["origin"]).read_bytes()
    again = ingest(town, "hc/birth_certificate")
    assert (again.status, again.admitted.batch) == ("unchanged", 4)


def test_an_hour_of_every_station_arrives_once(town: Town) -> None:
    ingest(town, "eeb/air_station_hour")
    before = core_rows(town, "eeb/air_station_hour")
    assert before > 8 * 24 * 7 * 0.9
    town.city.stop()  # the broker forgets its sessions; the loggers send again what was not acknowledged
    town.city.start()
    town.city.tick()
    ingest(town, "eeb/air_station_hour")
    after = core_rows(town, "eeb/air_station_hour")
    assert 8 * 24 * 0.9 < after - before <= 8 * 24


def test_a_whole_table_is_judged_again_without_waiting_for_the_next(town: Town) -> None:
    source, key = "nrpb/building", "building_code"
    contract = town.settings.contracts / "sources" / "nrpb" / "building.yaml"
    right = contract.read_text("utf-8")
    assert ingest(town, source).admitted.accepted > 100
    before = core_rows(town, source)
    town.city.tick(1)
    broken = f"\nquality:\n  - differs: {{column: {key}, other: {key}}}\n"
    contract.write_text(right.replace("\nquality:\n", broken), "utf-8")
    refused = ingest(town, source).admitted
    assert (refused.accepted, refused.deleted, core_rows(town, source)) == (0, 0, before)
    contract.write_text(right, "utf-8")
    with opened(town.settings, "replay") as run:
        done = run.replay(source, run.today, run.today).admitted
        again = run.replay(source, run.today, run.today).admitted
        changed = done.inserted + done.updated + done.deleted
        assert (done.received, core_rows(town, source)) == (refused.received, before + changed)
        assert done.accepted > 100 and changed > 0
        assert (again.inserted, again.updated, again.deleted) == (0, 0, 0)
    next_pull = ingest(town, source)
    assert (next_pull.status, next_pull.admitted.batch) == ("unchanged", again.batch)
