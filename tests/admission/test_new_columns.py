"""Columns that a contract uses later: what is told once and then told again fills them, and is not refused for them."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.admission.changes import CHANGED
from pipelines.contracts.load import Contracts
from tests.admission.test_load_modes import APPEND, KEYS, LOG, Told, insurance_row, intake, step_row
from tests.admission.test_replayed import MODES, Kept, reading, without


@dataclass(frozen=True)
class Event:
    """An event, and what it says in a column that the contract uses from some batch on."""

    key: str
    value: str
    later: str | None


def rows_of(events: Sequence[Event]) -> list[dict[str, str]]:
    later = ({} if one.later is None else {"JSSJ": f"2026-01-0{one.later} 09:00:00"} for one in events)
    return [step_row(Told(one.key, 0, one.value)) | more for one, more in zip(events, later, strict=True)]


EVENTS = st.builds(Event, KEYS, st.sampled_from("12"), st.none() | st.sampled_from("12"))
BATCHES = st.lists(st.lists(EVENTS, min_size=20, max_size=40), min_size=2, max_size=4)


def expect(known: dict[str, Event], young: set[str], batch: Sequence[Event], new: bool) -> int:
    """Take a batch into what is known; how many rows contradict it. `young`: events known without the new column."""
    wrong, first = 0, dict[str, Event]()
    for row in batch if new else [replace(one, later=None) for one in batch]:
        before = known.get(row.key)
        if before is None or (row.key in young and new and before.value == row.value):
            before = first.setdefault(row.key, row)
        wrong += before != row
    for key, row in first.items():
        if key not in known or row.later is not None:
            young.discard(key)
            if not new:
                young.add(key)
        known[key] = row
    return wrong


@pytest.mark.long
@settings(max_examples=8, deadline=None)
@given(batches=BATCHES, since=st.integers(1, 3))
def test_events_told_again_fill_a_column_that_is_younger(
    contracts: Contracts, batches: list[list[Event]], since: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source = intake(folder, contracts, "dsrb/case_step", APPEND)
        new, known, young = source.contract, dict[str, Event](), set[str]()
        for number, batch in enumerate(batches):
            source.contract = new if number >= since else without(new, "ended_at")
            outcome = source.deliver(rows_of(batch))
            assert outcome.by_rule.get(CHANGED, 0) == expect(known, young, batch, number >= since)
            if number >= since:
                again = source.deliver([one for one in rows_of(list(known.values()))])
                assert again.refused + again.inserted + again.updated == 0
        source.check_written_once()
        told = {key[0]: (row["case_step"], row.get("ended_at")) for key, row in source.current().items()}
        assert {key: (value, at and str(at.day)) for key, (value, at) in told.items()} == {
            key: (row.value, row.later) for key, row in known.items()
        }


def test_a_replay_leaves_what_was_filled_and_fills_it(contracts: Contracts, tmp_path: Path) -> None:
    source = Kept(str(tmp_path), contracts, MODES["append"])
    new = source.right
    told = [step_row(Told(key, 0, "1")) for key in "ab"]
    source.judged(told, without(new, "ended_at"))
    filled = [row | {"JSSJ": "2026-01-02 09:00:00"} for row in told]
    assert source.judged(filled, new).updated == 2
    state = source.intake.current()
    for first, last in ((1, 2), (1, 1), (2, 2)):
        outcome = source.replayed(first, last)
        assert (outcome.inserted, outcome.updated, outcome.refused) == (0, 0, 0)
        assert source.intake.current() == state
    wrong = reading(new, "case_no", "HJMC")
    assert source.replayed(1, 2, contract=wrong).updated == 2
    assert source.replayed(1, 2).updated == 2
    assert source.intake.current() == state


def test_two_columns_that_came_one_after_the_other(contracts: Contracts, tmp_path: Path) -> None:
    source = intake(str(tmp_path), contracts, "dsrb/case_step", APPEND)
    both = source.contract
    rows = [step_row(Told(key, 0, "1")) | {"JSSJ": "2026-01-01 09:00:00"} for key in "abc"]
    for contract, told in ((without(without(both, "ended_at"), "case_no"), "a"), (without(both, "ended_at"), "b")):
        source.contract = contract
        assert source.deliver([row for row in rows if row["HJBH"] == told]).inserted == 1
    source.contract = both
    outcome = source.deliver(rows)
    assert (outcome.inserted, outcome.updated, outcome.refused) == (1, 2, 0)
    assert {(row["case_no"], row["ended_at"].day) for row in source.current().values()} == {("C1", 1)}
    other = source.deliver([row | {"BJBH": "C2"} for row in rows])
    assert (other.updated, other.by_rule) == (0, {CHANGED: 3})


def test_changes_told_again_after_a_new_column_use_no_number_twice(contracts: Contracts, tmp_path: Path) -> None:
    source = intake(str(tmp_path), contracts, "hrssb/insurance", LOG)
    new = source.contract
    told = insurance_row(Told("a", 1, "1")) | {"AAE180": "5000"}
    source.contract = without(new, "contribution_base")
    assert source.deliver([told]).findings == []
    source.contract = new
    for row, codes in ((told, []), (told, []), (told | {"AAC030": "20200102"}, ["order.told_again"])):
        assert [one.code for one in source.deliver([row]).findings] == codes
