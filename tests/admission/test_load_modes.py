"""The five load modes against plain models of them: random deliveries, replays, overlaps, refused and late rows, and
processes killed at any step. Whole tables are modelled in test_snapshots."""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from string import ascii_lowercase
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.admission.changes import CHANGED
from pipelines.contracts.forms.sources import Append, ChangeLog, CursorLoad, FullReplace
from pipelines.contracts.load import Contracts
from tests.admission.conftest import BOUNDARIES, Intake
from tests.draws import draws

DAY = "2026-01-01 00:00:{:02}"
BAD = "bad"
"""A value that the contract's code list refuses."""


@dataclass(frozen=True)
class Told:
    """What a delivered row says: about which key, at which place in time, which value; D deletes."""

    key: str
    order: int
    value: str
    operation: str = "U"

    @property
    def good(self) -> bool:
        return self.value != BAD


KEYS, ORDERS = st.sampled_from(ascii_lowercase), st.integers(0, 30)
VALUES = st.sampled_from(["1", "2", "3", BAD])
ROWS = st.builds(Told, KEYS, ORDERS, VALUES, st.sampled_from("IUUD"))


def batches_of(rows: st.SearchStrategy[Any]) -> st.SearchStrategy[list[list[Any]]]:
    """Deliveries of few rows or of many. A delivery costs the same for many keys as for one, and each key has a
    history of its own: few examples try hundreds."""
    few, many = (st.lists(rows, min_size=low, max_size=high) for low, high in ((0, 8), (30, 60)))
    return st.lists(st.one_of(few, many), min_size=1, max_size=6)


BATCHES = batches_of(ROWS)
FATES = st.lists(st.none() | st.just("again") | st.integers(0, BOUNDARIES - 1), min_size=6, max_size=6)
"""What befalls each delivery: nothing, the same once more, or a kill at a boundary between two steps."""
lakes = settings(max_examples=draws(6), deadline=None)
"""Every example fills a lake of its own, with dozens of keys that each have a history."""


def deliver(source: Intake, rows: Sequence[dict[str, str]], fate: Any) -> Any:
    """Deliver rows; the same ones once more change nothing."""
    outcome = source.deliver_killed(rows, fate) if isinstance(fate, int) else source.deliver(rows)
    assert len(source.refused(outcome.batch)) == outcome.refused
    if fate == "again":
        again = source.deliver(rows)
        if outcome.core_version is None:  # it was held: what it would do is told, and again nothing is done
            assert again.core_version is None
        else:
            assert again.inserted + again.updated + again.deleted == 0
    return outcome


def step_row(row: Told) -> dict[str, str]:
    """The row as a step of a service case."""
    return {
        "HJBH": row.key, "BJBH": "C1", "HJMC": row.value, "KSSJ": "2025-12-01 09:00:00", "GXSJ": DAY.format(row.order),
    }  # fmt: skip


def tied_row(row: Told) -> dict[str, str]:
    """The row as a step of which the first cursor column says only half the order."""
    tied = {"GXSJ": DAY.format(row.order // 6), "KSSJ": DAY.format(row.order % 6)}
    return step_row(row) | tied


def insurance_row(row: Told) -> dict[str, str]:
    """The row as a change of insurance."""
    return {
        "BGXH": str(row.order + 1), "BGLX": row.operation, "AAC001": row.key, "AAE140": "170",
        "AAE135": "341502200501010019", "AAC003": "张三丰", "AAC008": "9" if row.value == BAD else "1",
        "AAC030": f"2020010{row.value}" if row.good else "20200101", "AAE036": "2026-01-01 00:00:00",
    }  # fmt: skip


def intake(folder: str, contracts: Contracts, source: str, load: Any) -> Intake:
    """A source that tells its rows in order, with a load of its own."""
    contract = contracts.sources[source]
    contract = replace(contract, connector=replace(contract.connector, verb="file_drop"))
    return Intake(Path(folder), contracts, replace(contract, form=contract.form.model_copy(update={"load": load})))


def newest(batch: Sequence[Told]) -> list[Told]:
    """Of each key the row that was told last, good or bad: of two with one order the later row."""
    return list({row.key: row for row in sorted(batch, key=lambda row: row.order)}.values())


def check_counts(outcome: Any) -> None:
    assert outcome.received == outcome.accepted + outcome.refused
    written = outcome.inserted + outcome.updated + outcome.deleted
    assert outcome.accepted == outcome.superseded + outcome.repeated + written


CURSOR = CursorLoad(mode="cursor", key=["step_no"], cursor="source_updated_at")
COMPOSITE = CursorLoad(mode="cursor", key=["step_no"], cursor=["source_updated_at", "started_at"])
LOG = ChangeLog(mode="change_log", key=["insurance_no", "insurance_type"], order="change_no", operation="operation")
APPEND = Append(mode="append", key=["step_no"])


@pytest.mark.long
@pytest.mark.parametrize(("load", "row_of"), [(CURSOR, step_row), (COMPOSITE, tied_row)], ids=["single", "composite"])
@lakes
@given(batches=BATCHES, fates=FATES)
def test_cursor_keeps_the_latest_good_word_on_every_key(
    contracts: Contracts,
    load: Any,
    row_of: Callable[[Told], dict[str, str]],
    batches: list[list[Told]],
    fates: list[Any],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source, known = intake(folder, contracts, "dsrb/case_step", load), dict[str, Told]()
        for batch, fate in zip(batches, fates, strict=False):
            check_counts(deliver(source, [row_of(row) for row in batch], fate))
            source.remember()
            for row in newest(batch):
                if row.good and (row.key not in known or row.order >= known[row.key].order):
                    known[row.key] = row
        source.check_written_once()
        source.check_as_of()
        state = {key[0]: row["case_step"] for key, row in source.current().items()} if known else {}
        assert state == {key: row.value for key, row in known.items()}


@pytest.mark.long
@lakes
@given(BATCHES, FATES)
def test_a_change_log_is_replayed_in_its_order(
    contracts: Contracts, batches: list[list[Told]], fates: list[Any]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source, known = intake(folder, contracts, "hrssb/insurance", LOG), dict[str, Told]()
        for batch, fate in zip(batches, fates, strict=False):
            check_counts(deliver(source, [insurance_row(row) for row in batch], fate))
            source.remember()
            for row in newest(batch):
                if row.good and (row.key not in known or row.order > known[row.key].order):
                    known[row.key] = row
        source.check_written_once()
        source.check_as_of()
        living = {key: row for key, row in known.items() if row.operation != "D"}
        state = {key[0]: str(row["enrolled_on"].day) for key, row in source.current().items()} if known else {}
        assert state == {key: row.value for key, row in living.items()}


@pytest.mark.long
@lakes
@given(BATCHES, FATES)
def test_an_event_counts_once_and_never_changes(
    contracts: Contracts, batches: list[list[Told]], fates: list[Any]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source, known = intake(folder, contracts, "dsrb/case_step", APPEND), dict[str, Told]()
        for batch, fate in zip(batches, fates, strict=False):
            outcome = deliver(source, [step_row(row) for row in batch], fate)
            check_counts(outcome)
            source.remember()
            expected = 0
            for row in (row for row in batch if row.good):
                first = known.setdefault(row.key, row)
                expected += (row.value, row.order) != (first.value, first.order)
            assert outcome.by_rule.get(CHANGED, 0) == expected
        source.check_written_once()
        source.check_as_of()
        state = {key[0]: row["case_step"] for key, row in source.current().items()} if known else {}
        assert state == {key: row.value for key, row in known.items()}


def test_a_full_replacement_may_delete_everything_but_the_volume_floor(contracts: Contracts, tmp_path: Path) -> None:
    load = FullReplace(mode="full_replace", key=["step_no"], volumeFloor=0.5)
    source = intake(str(tmp_path), contracts, "dsrb/case_step", load)
    source.deliver([step_row(Told(key, 0, "1")) for key in "abcd"])
    outcome = source.deliver([step_row(Told(key, 0, "1")) for key in "ef"])
    assert (outcome.inserted, outcome.deleted, outcome.held) == (2, 4, {})
    assert set(source.current()) == {("e",), ("f",)}
    held = source.deliver([])
    assert list(held.held) == ["admit.volume_floor"]
    assert set(source.current()) == {("e",), ("f",)}


def test_core_can_be_read_as_of_any_batch(contracts: Contracts, tmp_path: Path) -> None:
    source = intake(str(tmp_path), contracts, "hrssb/insurance", LOG)
    source.deliver([insurance_row(Told("a", 1, "1", "I"))])
    source.deliver([insurance_row(Told("a", 2, "2"))])
    source.deliver([insurance_row(Told("a", 3, "2", "D"))])
    source.deliver([insurance_row(Told("a", 2, "3"))])  # late, from before the deletion: a replay
    assert source.current() == {}
    days = [{key[0]: row["enrolled_on"].day for key, row in source.current(batch).items()} for batch in (1, 2, 3)]
    assert days == [{"a": 1}, {"a": 2}, {}]


def wedding(number: str, man: str, woman: str, day: str, kind: str = "1", before: str = "10") -> dict[str, str]:
    """A marriage registration of people with these identity numbers."""
    return {
        "DJZH": number, "DJLB": kind, "NANXM": "张三", "NANZJHM": man, "NVXM": "李四", "NVZJHM": woman,
        "NANHQZK": before, "NVHQZK": before, "DJRQ": day, "DJJGQH": "341502", "GXSJ": "2026-01-01 00:00:00",
    }  # fmt: skip


def test_a_second_open_marriage_is_refused_across_batches(contracts: Contracts, tmp_path: Path) -> None:
    source = Intake(tmp_path, contracts, contracts.sources["cab/marriage"])
    man, other = "342401198504150139", "341502198001010012"
    woman, bride = "342426197902280249", "34150419800630002X"
    first = wedding("1", man, woman, "20100101")
    assert source.deliver([first]).accepted == 1
    outcome = source.deliver([first, wedding("2", man, bride, "20110101"), wedding("3", other, bride, "20120101")])
    check_counts(outcome)
    assert outcome.by_rule == {"one_open_per": 2}  # the third contradicts the second, which is refused itself
    assert [row["rules"] for row in source.refused(2)] == ["one_open_per"] * 2
    assert {key for (key,) in source.current()} == {"1"}
    divorced = source.deliver([wedding("4", man, woman, "20130101", "2", "20"), wedding("5", man, woman, "20140101")])
    assert divorced.accepted == 2
    widowed = source.deliver([wedding("6", other, woman, "20200101", before="30")])
    assert widowed.accepted == 1


TIED = [Told("a", 1, "1", "I"), Told("a", 1, "2", "D"), Told("b", 1, "1"), Told("c", 2, "1"), Told("c", 2, "1")]
"""A key with two words of one moment, and two that say nothing twice."""


def test_a_tie_that_no_place_decides_is_told_with_its_count(contracts: Contracts, tmp_path: Path) -> None:
    source = intake(str(tmp_path), contracts, "dsrb/case_step", CURSOR)
    assert source.deliver([step_row(row) for row in TIED]).findings == []  # the later row was told later
    source.contract = replace(source.contract, connector=replace(source.contract.connector, verb="database"))
    rows = [step_row(row) for row in TIED]
    first = source.deliver(rows)
    assert [(one.code, one.rows) for one in first.findings] == [("order.tied", 1)]
    state = source.current()
    again = source.deliver([*reversed(rows)])
    assert again.inserted + again.updated + again.deleted == 0
    assert ([one.code for one in again.findings], source.current()) == (["order.tied"], state)
    assert "source_updated_at" in again.findings[0].both()


def test_a_change_number_used_again_with_another_content_is_told(contracts: Contracts, tmp_path: Path) -> None:
    source = intake(str(tmp_path), contracts, "hrssb/insurance", LOG)
    assert source.deliver([insurance_row(row) for row in TIED]).findings == []
    assert set(source.current()) == {("b", "170"), ("c", "170")}  # the deletion was told last
    assert source.deliver([insurance_row(row) for row in TIED]).findings == []
    other = source.deliver([insurance_row(Told("b", 1, "3")), insurance_row(Told("c", 2, "1"))])
    assert [(one.code, one.rows) for one in other.findings] == [("order.told_again", 1)]
    assert (other.updated, source.current()[("b", "170")]["enrolled_on"].day) == (0, 1)
