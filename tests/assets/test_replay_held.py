"""A replay that did not happen says so, at the command line and in a backfill; it has no counts of another batch."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest
import typer

from assets.replay import partition_of, replay_asset
from citylake import operations
from pipelines.contracts.load import Contracts
from pipelines.messages import CitylakeError
from pipelines.run import Ingested

SOURCE = "hc/birth_certificate"
COUNTS = ("received", "accepted", "refused", "inserted", "updated", "deleted", "repeated")
HELD = [Ingested("held", "", SimpleNamespace(**dict.fromkeys(COUNTS, 7))), Ingested("held", "", None)]  # type: ignore[arg-type]


@pytest.mark.parametrize("done", HELD)
def test_a_backfill_that_meets_a_held_batch_is_red(done: Ingested, contracts: Contracts) -> None:
    run = dg.ResourceDefinition.hardcoded_resource(SimpleNamespace(replay=lambda *_: done))
    key = dg.MultiPartitionKey({"day": "2026-03-01", "source": partition_of(SOURCE)})
    made = dg.materialize([replay_asset(contracts)], resources={"run": run}, partition_key=key, raise_on_error=False)
    assert not made.success
    (failed,) = made.get_step_failure_events()
    assert "没有重放" in str(failed.step_failure_data.error)


def test_a_backfill_of_which_partitions_fail_is_red_and_shows_the_others(contracts: Contracts) -> None:
    """Days without a batch are no failure; later days of a source that failed wait."""
    asked = []

    def replay(source: str, day: date, _: date) -> Ingested:
        asked.append((source, day.day))
        if source == SOURCE and day.day == 2:
            raise CitylakeError("replay.not_admitted", subject=source)
        if day.day == 1:
            raise CitylakeError("replay.nothing", subject=source, first=day, last=day)
        return Ingested("admitted", "", SimpleNamespace(**dict.fromkeys(COUNTS, 7)))  # type: ignore[arg-type]

    run = dg.ResourceDefinition.hardcoded_resource(SimpleNamespace(replay=replay))
    ends = {f"dagster/asset_partition_range_{end}": f"2026-03-0{day}|{partition_of(SOURCE)}" for end, day in
            (("start", 1), ("end", 3))}  # fmt: skip
    with dg.DagsterInstance.ephemeral() as instance:
        made = dg.materialize(
            [replay_asset(contracts)], resources={"run": run}, tags=ends, instance=instance, raise_on_error=False
        )
        shown = {str(one.partition) for one in made.asset_materializations_for_node("replay")}
    assert asked == [(SOURCE, 1), (SOURCE, 2)] and shown == {f"2026-03-01|{partition_of(SOURCE)}"}
    (failed,) = made.get_step_failure_events()
    assert "2 个分区没有重放" in str(failed.step_failure_data.error)


@pytest.mark.filterwarnings("error::dagster.BetaWarning")
def test_an_operator_reads_nothing_about_what_dagster_calls_beta(contracts: Contracts) -> None:
    assert replay_asset(contracts).backfill_policy == dg.BackfillPolicy.single_run()


@pytest.mark.parametrize("done", HELD)
def test_the_command_ends_with_1(
    done: Ingested, contracts: Contracts, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    @contextmanager
    def opened(*_: Any) -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(contracts=contracts, replay=lambda *_: done)

    monkeypatch.setattr(operations, "opened", opened)
    monkeypatch.setattr(operations, "permit", lambda *_, **__: None)
    day = datetime(2026, 3, 1)
    with pytest.raises(typer.Exit) as ended:
        operations.replay(SOURCE, day, day, "somebody", "a reason")
    said = capsys.readouterr()
    assert ended.value.exit_code == 1 and "没有重放" in said.err and "7" not in said.out
