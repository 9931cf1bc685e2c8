"""Each load mode with a process that is really killed, before and behind each write of an admission: the next process
makes of it what an undisturbed one would have made."""

import multiprocessing
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines.admission.admit import Admitted
from pipelines.contracts.forms.sources import WholeTable
from tests.admission.conftest import BOUNDARIES, Intake
from tests.admission.test_load_modes import APPEND, BAD, COMPOSITE, CURSOR, LOG, Told, insurance_row, step_row, tied_row
from tests.admission.test_replayed import without
from tests.admission.test_snapshots import DIFF, REPLACE
from tests.slow.killed_admission import admit, source_in

pytestmark = pytest.mark.slow

STEPS, INSURANCE = "dsrb/case_step", "hrssb/insurance"
MODES = [
    pytest.param(STEPS, CURSOR, step_row, id="cursor"),
    pytest.param(STEPS, COMPOSITE, tied_row, id="composite"),
    pytest.param(INSURANCE, LOG, insurance_row, id="change log"),
    pytest.param(STEPS, APPEND, step_row, id="append"),
    pytest.param(STEPS, DIFF, step_row, id="snapshot diff"),
    pytest.param(STEPS, REPLACE, step_row, id="full replace"),
]
DELIVERIES = [
    [Told(key, order, "1", "I") for order, key in enumerate("abcdef")],
    [Told("a", 7, "2"), Told("b", 8, BAD), Told("c", 9, "3", "D"), Told("g", 1, "1", "I"), Told("g", 2, "2"),
     Told("d", 3, "1")],
    [Told("a", 10, "3"), Told("b", 11, "2"), Told("h", 3, "1", "I"), Told("c", 4, "1")],
]  # fmt: skip
"""The second one is admitted by the process that is killed."""


def left(source: Intake) -> Any:
    """What readers find: the table after each delivery, what was refused, and what became of each batch."""
    source.check_written_once()
    refused = [[(row["_row"], row["rules"]) for row in source.refused(batch)] for batch in (1, 2, 3)]
    return [source.current(batch) for batch in (1, 2, 3)], refused


def check(folder: Path, name: str, mode: Any, deliveries: Any, younger: str | None = None) -> int:
    """Kill the admission of the second of three deliveries at every boundary; at how many of them one was killed.
    `younger`: a column that the contract did not use yet when the first one came."""
    first, second, third = deliveries

    def begun(where: Path) -> tuple[Intake, Admitted]:
        source = source_in(where, name, mode)
        now = source.contract
        source.contract = without(now, younger) if younger else now
        admitted = source.deliver(first)
        source.contract = now
        return source, admitted

    undisturbed, done = begun(folder / "undisturbed")
    counts = [vars(one) | {"seconds": 0} for one in (done, *map(undisturbed.deliver, (second, third)))]
    expected, killed = left(undisturbed), 0
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["tests.slow.killed_admission"])
    for boundary in range(BOUNDARIES):
        source, done = begun(folder / str(boundary))
        delivery = source.raw(second)
        process = processes.Process(target=admit, args=(folder / str(boundary), name, mode, delivery, boundary))
        process.start()
        process.join()
        assert process.exitcode in (0, -signal.SIGKILL)
        killed += process.exitcode != 0
        found = [done, source.admit(delivery), source.deliver(third)]
        assert [vars(one) | {"seconds": 0} for one in found] == counts, boundary
        assert left(source) == expected, boundary
    return killed


@pytest.mark.parametrize(("name", "mode", "row"), MODES)
def test_killed_at_every_boundary(name: str, mode: Any, row: Callable[[Told], dict[str, str]], tmp_path: Path) -> None:
    deliveries = [[row(one) for one in delivery] for delivery in DELIVERIES]
    killed = check(tmp_path, name, mode, deliveries)
    assert killed == BOUNDARIES - (0 if isinstance(mode, WholeTable) else 2)


@pytest.mark.parametrize("mode", [CURSOR, APPEND, DIFF], ids=["cursor", "append", "snapshot diff"])
def test_killed_while_a_batch_brings_a_column(mode: Any, tmp_path: Path) -> None:
    rows = [step_row(Told(key, order, "1")) | {"JSSJ": "2026-01-01 09:00:00"} for order, key in enumerate("abc")]
    assert check(tmp_path, STEPS, mode, [rows[:2], rows[2:], rows], "ended_at") > BOUNDARIES - 4
