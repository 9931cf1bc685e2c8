"""Raw judged again by a mended contract: what the right contract would have made of it from the beginning.

Batches are drawn and admitted by a contract that is wrong in some way; then it is mended and raw replayed. Replaying
through a run, by its days, is tested in assets/test_replay.
"""

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from pipelines.admission import receive
from pipelines.admission.admit import Admitted
from pipelines.admission.changes import CHANGED
from pipelines.admission.receive import Corrected, Delivery
from pipelines.admission.replays import Origins
from pipelines.contracts.forms.sources import WholeTable
from pipelines.contracts.load import Contracts, SourceContract
from pipelines.register.receipts import RETURNED, Stage
from tests.admission.conftest import Rows
from tests.admission.test_load_modes import (
    APPEND,
    BAD,
    COMPOSITE,
    CURSOR,
    LOG,
    ROWS,
    Told,
    check_counts,
    insurance_row,
    intake,
    step_row,
    tied_row,
    wedding,
)
from tests.admission.test_snapshots import DIFF, REPLACE
from tests.draws import draws
from tests.memory import connection

lakes = settings(max_examples=draws(2), deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
"""Every example fills lakes of its own with dozens of keys: that is enough to find what goes wrong for one of them,
and none can be made small in a time that anybody would wait."""
BATCH = st.lists(ROWS, min_size=20, max_size=50)
BATCHES = st.lists(BATCH, min_size=2, max_size=4)
RANGES = st.lists(st.tuples(st.integers(1, 4), st.integers(1, 4)), max_size=2)
Batches = list[list[Told]]


def step(row: Told) -> dict[str, str]:
    """A step whose case says so too, but badly now and then."""
    return step_row(row) | {"BJBH": row.value if row.order % 3 else BAD}


def tied_step(row: Told) -> dict[str, str]:
    return step(row) | {name: tied_row(row)[name] for name in ("GXSJ", "KSSJ")}


def insurance(row: Told) -> dict[str, str]:
    """A change of insurance whose remaining columns say what some wrong contracts read."""
    return insurance_row(row) | {"AAB004": f"单位{row.value}", "AAE180": str(1000 - row.order)}


def without(contract: SourceContract, column: str) -> SourceContract:
    """The contract before it used a column."""
    rules = tuple(rule for rule in contract.rules if column not in rule.columns)
    return replace(contract, columns=tuple(one for one in contract.columns if one.name != column), rules=rules)


def reading(contract: SourceContract, column: str, physical: str) -> SourceContract:
    """The contract when it read a column from another one of the source."""
    columns = (replace(one, physical_name=physical) if one.name == column else one for one in contract.columns)
    return replace(contract, columns=tuple(columns))


def underived(contract: SourceContract) -> SourceContract:
    return replace(contract, derived=())


Mistake = Callable[[SourceContract], SourceContract]
STEPS: dict[str, Mistake] = {
    "another column, which refuses some": lambda right: reading(right, "case_step", "BJBH"),
    "a column not used": lambda right: without(right, "case_no"),
    "another order": lambda right: reading(right, "source_updated_at", "KSSJ"),
    "none": lambda right: right,
}
CHANGES: dict[str, Mistake] = {
    "another column": lambda right: reading(right, "name", "AAB004"),
    "a column that refuses all": lambda right: reading(right, "insured_status", "AAE140"),
    "a column not used": lambda right: without(right, "contribution_base"),
    "another order": lambda right: reading(right, "change_no", "AAE180"),
    "a column not derived": underived,
    "none": lambda right: right,
}


@dataclass(frozen=True)
class Mode:
    source: str
    load: Any
    row: Callable[[Told], dict[str, str]]
    mistakes: dict[str, Mistake]


MODES = {
    "cursor": Mode("dsrb/case_step", CURSOR, step, STEPS),
    "composite": Mode("dsrb/case_step", COMPOSITE, tied_step, STEPS),
    "change_log": Mode("hrssb/insurance", LOG, insurance, CHANGES),
    "append": Mode("dsrb/case_step", APPEND, step, STEPS),
    "snapshot_diff": Mode("dsrb/case_step", DIFF, step, STEPS),
    "full_replace": Mode("dsrb/case_step", REPLACE, step, STEPS),
}


class Kept:
    """A source whose batches lie in raw with their receipts, so that they can be replayed."""

    def __init__(self, folder: str, contracts: Contracts, mode: Mode) -> None:
        self.intake = intake(folder, contracts, mode.source, mode.load)
        self.right = self.intake.contract
        self.row = mode.row

    def told(self, rows: Sequence[Told], contract: SourceContract) -> Admitted:
        """A batch, judged by a contract."""
        return self.judged([self.row(row) for row in rows], contract)

    def judged(self, rows: Rows, contract: SourceContract) -> Admitted:
        self.intake.contract = self.right
        delivery = self.intake.raw(rows)
        columns = [column.physical_name for column in self.right.columns]
        body = {"rows": len(rows), "columns": columns, "origin": "table", "contract": contract.hash}
        self.intake.receipts.add(Stage.PULL, self.right.id, body, delivery.batch)
        self.intake.contract = contract
        return self.intake.admit(delivery)

    def replayed(
        self,
        first: int,
        last: int,
        corrected: Sequence[tuple[int, int]] = (),
        contract: SourceContract | None = None,
    ) -> Admitted:
        """The batches of a range, or of a whole table the last one, by the right contract or another one."""
        self.intake.contract = contract or self.right
        pulls = [one for one in self.intake.receipts.pulls(self.right.id, "table") if first <= (one.batch or 0) <= last]
        if isinstance(self.right.form.load, WholeTable):
            pulls = self.intake.receipts.pulls(self.right.id, "table")[-1:]
        delivery = receive.replayed(self.intake.contract, self.intake.lake, pulls, self.intake.receipts, corrected)
        return self._ours(delivery)

    def returned(self, told: Told, answers: tuple[int, int], folder: Path) -> Admitted:
        """A row that the department corrected."""
        file = folder / "corrected.xlsx"
        file.write_bytes(b"")
        row = Corrected(*answers, {name: value for name, value in self.row(told).items() if name in self.names})
        return self._ours(
            receive.returned(self.right, self.intake.lake, file, [row], {"who": "t", "why": "t"}, self.intake.receipts)
        )

    @property
    def names(self) -> set[str]:
        return {column.physical_name for column in self.right.columns}

    def _ours(self, delivery: Delivery) -> Admitted:
        self.intake.batch = delivery.batch
        outcome = self.intake.admit(delivery)
        if not isinstance(self.right.form.load, WholeTable):
            check_counts(outcome)
        return outcome

    @property
    def state(self) -> dict[tuple[Any, ...], dict[str, Any]]:
        return self.intake.current() if self.intake.core.exists() else {}


@pytest.mark.long
@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
@lakes
@given(batches=BATCHES, ranges=RANGES, data=st.data())
def test_the_whole_range_replayed_is_what_the_right_contract_makes(
    contracts: Contracts, mode: Mode, batches: Batches, ranges: list[tuple[int, int]], data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(sorted(mode.mistakes)))
    mistake = mode.mistakes[name]
    # what was accepted stays, when the right contract refuses it and accepts no other row of its key
    if isinstance(mode.load, WholeTable) or name == "another order":
        batches = [[row for row in batch if row.good] for batch in batches]
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        source, right = Kept(one, contracts, mode), Kept(other, contracts, mode)
        for batch in batches:
            source.told(batch, mistake(source.right))
            right.told(batch, right.right)
        count = len(batches)
        for first, last in ranges:
            if first <= min(last, count):
                source.replayed(first, last)
        source.replayed(1, count)
        assert source.state == right.state
        again = source.replayed(1, count)
        assert again.inserted + again.updated + again.deleted == 0
        assert source.state == right.state


@pytest.mark.long
@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
@lakes
@given(batches=BATCHES, ranges=RANGES)
def test_a_replay_by_the_same_contract_changes_nothing(
    contracts: Contracts, mode: Mode, batches: Batches, ranges: list[tuple[int, int]]
) -> None:
    """Whatever the range: a replay of older batches does not undo what came later, nor what came first."""
    with tempfile.TemporaryDirectory() as folder:
        source = Kept(folder, contracts, mode)
        for batch in batches:
            source.told(batch, source.right)
        before = source.state
        for first, last in [*ranges, (1, 9)]:
            if first <= min(last, len(batches)):
                outcome = source.replayed(first, last)
                assert outcome.inserted + outcome.updated + outcome.deleted == 0
        assert source.state == before


@pytest.fixture
def kept(tmp_path: Path, contracts: Contracts) -> Callable[[str], Kept]:
    return lambda mode: Kept(str(tmp_path), contracts, MODES[mode])


@pytest.mark.parametrize("mode", ["change_log", "append"])
def test_values_of_old_batches_are_mended(kept: Callable[[str], Kept], mode: str) -> None:
    source = kept(mode)
    mistake = CHANGES["a column not used"] if mode == "change_log" else STEPS["a column not used"]
    rows = [Told(key, 1, "1", "I") for key in "ab"]
    source.told(rows, mistake(source.right))
    column = "contribution_base" if mode == "change_log" else "case_no"
    outcome = source.replayed(1, 1)
    assert (outcome.updated, outcome.repeated, outcome.refused, outcome.by_rule) == (2, 0, 0, {})
    assert all(row[column] is not None for row in source.state.values())


@pytest.mark.long
@pytest.mark.parametrize("mode", ["cursor", "change_log", "append"])
def test_what_a_later_batch_said_is_not_overwritten(kept: Callable[[str], Kept], mode: str) -> None:
    source = kept(mode)
    mistake = CHANGES["another column"] if mode == "change_log" else STEPS["a column not used"]
    source.told([Told("a", 1, "1", "I"), Told("b", 1, "1", "I")], mistake(source.right))
    source.told([Told("a", 2, "2")], source.right)
    before = source.state["a", "170"] if mode == "change_log" else source.state["a",]
    source.replayed(1, 1)
    now = source.state["a", "170"] if mode == "change_log" else source.state["a",]
    if mode == "append":  # the first telling counts, and that is what was read anew
        assert now["case_no"] == "1"
    else:
        assert now == before


@pytest.mark.long
@pytest.mark.parametrize(
    ("before", "now", "mended"),
    [((1, 2), (1, 2), 2), ((1, 2), (2, 2), 0), ((2, 2), (1, 2), 1), ((2, 2), (2, 2), 1)],
    ids=["all of both", "a part", "more", "all of one"],
)
@pytest.mark.parametrize("mode", ["cursor", "change_log", "append"])
def test_what_a_replay_of_before_the_upgrade_wrote_is_mended(
    kept: Callable[[str], Kept],
    monkeypatch: pytest.MonkeyPatch,
    mode: str,
    before: tuple[int, int],
    now: tuple[int, int],
    mended: int,
) -> None:
    """Its receipt names batches, not which rows are of which: if it were several, a part of them cannot be told from
    what came later."""
    source, log = kept(mode), mode == "change_log"
    mistakes = CHANGES if log else STEPS
    refusing = mistakes["a column that refuses all" if log else "another column, which refuses some"](source.right)
    for order, key in ((3, "a"), (6, "b")):
        assert source.told([Told(key, order, "2", "I")], refusing).refused == 1
    with monkeypatch.context() as older:
        older.setattr(receive, "PARTS", "nothing")
        source.replayed(*before, contract=mistakes["a column not used"](source.right))
    written, column = len(source.state), "contribution_base" if log else "case_no"
    assert written == before[1] - before[0] + 1
    outcome = source.replayed(*now)
    assert (outcome.updated, outcome.inserted, outcome.refused) == (mended, len(source.state) - written, 0)
    unread = [row for row in source.state.values() if row.get(column) is None]
    assert len(unread) == written - mended
    assert source.replayed(*now).updated == 0


def test_rows_are_of_the_batch_that_has_rows() -> None:
    """Also where an empty one stands beside it, before or behind."""
    with connection() as con:
        Origins(((1, 0), (2, 5), (3, 0), (4, 2)), ((7, ((1, 0), (2, 5), (3, 0))),)).register(con)
        assert con.execute("FROM part ORDER BY ALL").fetchall() == [(0, 2), (5, 4)]
        assert con.execute("FROM told_by").fetchall() == [(7, 0, 2)]


def test_a_deletion_is_overtaken_by_numbers_alone(kept: Callable[[str], Kept]) -> None:
    """Neither does a lower number of a later batch undo it, nor does it outdo a higher one of an earlier batch."""
    source = kept("change_log")
    refusing = CHANGES["a column that refuses all"](source.right)
    assert source.told([Told("high", 9, "1", "I")], refusing).refused == 1
    source.told([Told("low", 5, "1", "D"), Told("high", 5, "1", "D")], source.right)
    source.told([Told("low", 3, "1", "I")], source.right)
    assert source.state == {}
    outcome = source.replayed(3, 3)
    assert (outcome.inserted, source.state) == (0, {})
    outcome = source.replayed(1, 1)
    assert (outcome.inserted, set(source.state)) == (1, {("high", "170")})


def test_a_second_telling_replayed_alone_neither_counts_nor_is_blamed(kept: Callable[[str], Kept]) -> None:
    source = kept("append")
    source.told([Told("a", 1, "1")], STEPS["a column not used"](source.right))
    source.told([Told("a", 1, "1")], STEPS["a column not used"](source.right))
    outcome = source.replayed(2, 2)
    assert (outcome.repeated, outcome.updated, outcome.by_rule) == (1, 0, {})


def test_events_of_a_replay_that_contradict_each_other_are_refused(kept: Callable[[str], Kept]) -> None:
    source = kept("append")
    source.told([Told("a", 1, "1")], source.right)
    assert source.told([Told("a", 1, "2")], source.right).by_rule == {CHANGED: 1}
    outcome = source.replayed(1, 2)
    assert (outcome.repeated, outcome.updated, outcome.by_rule) == (1, 0, {CHANGED: 1})


@pytest.mark.long
@pytest.mark.parametrize("mode", ["cursor", "change_log", "append"])
def test_a_correction_outlives_the_replay_of_what_it_answers(
    kept: Callable[[str], Kept], tmp_path: Path, mode: str
) -> None:
    """Even when another batch told the key rightly by the mended contract, at the same place in time."""
    source = kept(mode)
    source.told([Told("a", 1, BAD)], source.right)
    source.returned(Told("a", 1, "3"), (1, 0), tmp_path)
    before = source.state
    assert len(before) == 1
    outcome = source.replayed(1, 1, [(1, 0)])
    assert (outcome.received, source.state) == (0, before)
    source.told([Told("a", 1, "2")], source.right)
    stands = source.state
    source.replayed(1, 9, [(1, 0)])
    assert source.state == stands
    assert source.intake.receipts.pulls(source.right.id, RETURNED)


def test_marriages_read_anew_are_judged_with_those_that_stand(contracts: Contracts, tmp_path: Path) -> None:
    """Two events that seemed to be of two men are of one, when his number is read from the right column."""
    contract = contracts.sources["cab/marriage"]
    mode = Mode("cab/marriage", contract.form.load, lambda told: {}, {})
    source = Kept(str(tmp_path), contracts, mode)
    man, other = "342401198504150139", "341502198001010012"
    woman, bride = "342426197902280249", "34150419800630002X"
    wrong = reading(source.right, "male_name", "NVXM")
    source.judged([wedding("1", man, woman, "20100101")], wrong)
    source.judged([wedding("2", other, bride, "20110101"), wedding("3", man, bride, "20120101")], wrong)
    before = set(source.state)
    outcome = source.replayed(1, 2)
    assert set(source.state) == before and outcome.updated == len(before)
    assert {row["male_name"] for row in source.state.values()} == {"张三"}
    again = source.replayed(1, 2)
    assert (again.updated, again.by_rule) == (0, {"one_open_per": 1})
