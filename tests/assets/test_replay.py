"""Backfill: several days of a source judged again in one Dagster run."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from assets.replay import KEY, partition_of, replay_asset, source_of
from assets.resources import run_resource
from pipelines.contracts.forms.words import NAME_PATTERN
from pipelines.contracts.load import Contracts, load
from pipelines.lake import delta
from pipelines.messages import CitylakeError
from pipelines.register.receipts import Stage
from pipelines.register.tables import receipt
from pipelines.run import opened
from tests.city import REPOSITORY, Town

SOURCE = "hc/birth_certificate"
DAYS = ("2026-03-01", "2026-03-02", "2026-03-03", "2026-03-04")


@pytest.fixture
def town(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Town]:
    shutil.copytree(REPOSITORY / "data_contracts", tmp_path / "project" / "data_contracts")
    shutil.copytree(REPOSITORY / "dbt_project", tmp_path / "project" / "dbt_project")
    town = Town(tmp_path, persons=1_200, project=tmp_path / "project")
    monkeypatch.setenv("CITYLAKE_HOME", str(town.settings.home))
    monkeypatch.setenv("CITYLAKE_PROJECT", str(town.settings.project))
    monkeypatch.setenv("CITYLAKE_REGISTER", town.settings.register_url)
    yield town
    town.close()


def core_rows(town: Town) -> int:
    return delta.row_count(delta.open_table(town.settings.lake.core(*SOURCE.split("/"))))


def received_on(town: Town, days: tuple[str, ...]) -> list[int]:
    """Say that the batches came on these days, in order; returns the rows of each."""
    with town.register() as register, register.begin() as connection:
        for batch, day in enumerate(days, 1):
            moment = datetime.fromisoformat(f"{day}T10:00:00").replace(tzinfo=UTC)
            this = (receipt.c.subject == SOURCE) & (receipt.c.stage == Stage.PULL) & (receipt.c.batch == batch)
            assert connection.execute(sa.update(receipt).where(this).values(at=moment)).rowcount == 1
    with opened(town.settings, "look") as run:
        return [pull.body["rows"] for pull in run.receipts.pulls(SOURCE)]


def backfill(first: str, last: str, contracts: Contracts) -> dict[str, dict[str, int] | str]:
    """The range of days of the source in one run, as a backfill asks for it."""
    ends = {f"dagster/asset_partition_range_{end}": f"{day}|{partition_of(SOURCE)}" for end, day in
            (("start", first), ("end", last))}  # fmt: skip
    with dg.DagsterInstance.ephemeral() as instance:
        result = dg.materialize(
            [replay_asset(contracts)], resources={"run": run_resource}, instance=instance, tags=ends
        )
    (event,) = result.asset_materializations_for_node("replay")[:1]
    assert event.asset_key == KEY and result.success
    (outcomes,) = event.metadata.values()
    return dict(outcomes.value)


@pytest.mark.long
@pytest.mark.server
def test_several_days_are_judged_again_in_one_run(town: Town) -> None:
    """Four batches are refused whole; when the rule is mended, each day brings its own rows and no others."""
    contract = town.settings.contracts / "sources" / "hc" / "birth_certificate.yaml"
    right = contract.read_text("utf-8")
    column = "birth_certificate_no"
    contract.write_text(f"{right.rstrip()}\n  - differs: {{column: {column}, other: {column}}}\n", "utf-8")
    town.city.tick(3)
    with opened(town.settings, "four batches") as run:
        refused = run.ingest(SOURCE).admitted
    assert refused is not None and (refused.batch, core_rows(town)) == (4, 0)
    contract.write_text(right, "utf-8")
    rows, contracts = received_on(town, DAYS), load(town.settings.contracts)

    first = backfill("2026-02-28", DAYS[1], contracts)
    days = {key.partition("|")[0]: outcome for key, outcome in first.items()}
    assert list(days) == ["2026-02-28", *DAYS[:2]]
    assert isinstance(days["2026-02-28"], str) and "没有收到批次" in days["2026-02-28"]
    judged = [days[day] for day in DAYS[:2]]
    assert [outcome["received"] for outcome in judged if isinstance(outcome, dict)] == rows[:2]
    inserted = [outcome["inserted"] for outcome in judged if isinstance(outcome, dict)]
    assert core_rows(town) == sum(inserted) and min(inserted) > 0

    rest = backfill(DAYS[2], DAYS[3], contracts)
    later = [outcome["inserted"] for outcome in rest.values() if isinstance(outcome, dict)]
    assert len(later) == 2 and core_rows(town) == sum(inserted) + sum(later)

    again = backfill(DAYS[0], DAYS[3], contracts)
    assert [outcome["inserted"] for outcome in again.values() if isinstance(outcome, dict)] == [0] * 4
    assert core_rows(town) == sum(inserted) + sum(later)


@pytest.mark.long
@pytest.mark.server
def test_a_wrongly_derived_column_is_mended_from_what_was_kept(town: Town) -> None:
    """Numbered changes: each was told once. What was never asked of the source is not there to be judged."""
    contract = town.settings.contracts / "sources" / "hrssb" / "insurance.yaml"
    right = contract.read_text("utf-8")
    derived = "person_id: {keyed_hash: {of: id_number}}"
    optional, required = (
        f"  - {{name: {name}}}\n"
        for name in ("contribution_base, physicalName: AAE180", "handled_at, physicalName: AAE036, required: true")
    )
    assert all(part in right for part in (derived, optional, required))
    wrong = (
        right.replace(derived, derived.replace("id_number", "insurance_no"))
        .replace(optional, "")
        .replace("ignored: [", "ignored: [AAE180, ")
    )
    contract.write_text(wrong, "utf-8")
    with opened(town.settings, "without it") as run:
        before = run.ingest("hrssb/insurance").admitted
    contract.write_text(right, "utf-8")
    with opened(town.settings, "with it") as run:
        outcome = run.replay("hrssb/insurance", run.today, run.today).admitted
        again = run.replay("hrssb/insurance", run.today, run.today).admitted
    assert before is not None and outcome is not None and again is not None
    assert outcome.by_rule == before.by_rule and outcome.updated > 0
    assert outcome.updated + outcome.deleted + outcome.superseded == outcome.accepted
    assert (again.inserted, again.updated, again.deleted) == (0, 0, 0)
    contract.write_text(right.replace("physicalName: AAE036", "physicalName: AAE036_1"), "utf-8")
    with opened(town.settings, "a column that nobody kept") as run, pytest.raises(CitylakeError, match="AAE036_1"):
        run.replay("hrssb/insurance", run.today, run.today)


NAMES = st.from_regex(NAME_PATTERN, fullmatch=True)


@given(organisation=NAMES.filter(lambda name: "__" not in f"{name}_"), dataset=NAMES)
def test_a_partition_is_of_one_source(organisation: str, dataset: str) -> None:
    """Datasets may have any name, with two or three underscores too."""
    source = f"{organisation}/{dataset}"
    assert source_of(partition_of(source)) == source


def test_every_source_of_the_contracts_has_its_own_partition(contracts: Contracts) -> None:
    assert [source_of(partition_of(name)) for name in contracts.sources] == list(contracts.sources)
