"""A replay that did not happen says so, at the command line and in a backfill; it has no counts of another batch."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest
import typer

from assets.replay import partition_of, replay_asset
from citylake import operations
from pipelines.contracts.load import Contracts
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
