"""Corrections of whole tables: random ones against a plain model, and the cases that a model leaves out."""

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.admission.admit import Admitted, Batch, Before
from pipelines.admission.answers import Answers
from pipelines.admission.changes import CORRECTED, DUPLICATE
from pipelines.admission.quarantine import Quarantine
from pipelines.admission.receive import Corrected, Delivery, returned
from pipelines.contracts.load import Contracts
from pipelines.lake import delta
from pipelines.register.receipts import RETURNED, Stage
from tests.admission.conftest import Intake, Rows
from tests.admission.test_corrections import correcting, correction
from tests.admission.test_snapshots import row as step_row
from tests.draws import draws

BAD = "bad"


class Row(NamedTuple):
    """A row of the table; without a key, or with a bad value, it is refused."""

    key: str
    place: int
    value: str

    @property
    def good(self) -> bool:
        return bool(self.key) and self.value != BAD


class Table(Intake):
    """The steps of service cases as a whole table, of which rows come back."""

    def raw(self, rows: Rows) -> Delivery:
        """A delivery with the receipt of its pull."""
        delivery = super().raw(rows)
        self.receipts.add(Stage.PULL, self.contract.id, {"origin": "zwfw.T_BJHJ"}, delivery.batch)
        return delivery

    def tell(self, rows: Sequence[Row]) -> Admitted:
        return self.deliver([raw_row(one) for one in rows])

    def returned(self, rows: Sequence[tuple[tuple[int, int], Row]]) -> Delivery:
        """Corrected rows as a new batch, each with the place of the refused row that it answers."""
        file = self.lake.root.parent / "back.xlsx"
        file.write_bytes(b"a book")
        names = [column.physical_name for column in self.contract.columns]
        corrected = [Corrected(*place, dict.fromkeys(names) | raw_row(one)) for place, one in rows]
        delivery = returned(self.contract, self.lake, file, corrected, {"who": "专员", "why": "核对"}, self.receipts)
        self.batch = delivery.batch
        return delivery

    def give_back(self, rows: Sequence[tuple[tuple[int, int], Row]]) -> Admitted:
        return self.admit(self.returned(rows))

    def lines(self) -> dict[tuple[int, int], str]:
        """The open lines: where each was delivered first, and its rules."""
        with Quarantine(self.contract, self.contracts, self.lake, self.receipts) as quarantine:
            return {(line.batch, line.row): line.rules for line in quarantine.lines()}

    def line(self) -> tuple[int, int]:
        (place,) = self.lines()
        return place

    def state(self) -> dict[str, tuple[int, str]]:
        return {key: (row["source_updated_at"].second, row["case_step"]) for (key,), row in self.current().items()}


def raw_row(one: Row) -> dict[str, str | None]:
    return step_row(one.key, one.place, one.value) | {"HJBH": one.key or None}


def table(folder: Path, contracts: Contracts, ceiling: float = 1.0, floor: float = 0.001) -> Table:
    contract = contracts.sources["dsrb/case_step"]
    load = contracts.sources["psb/household_person"].form.load
    guards = {"deletionCeiling": ceiling, "volumeFloor": floor}
    load = load.model_copy(update={"key": ["step_no"], "newest": "source_updated_at", **guards})
    return Table(folder, contracts, replace(contract, form=contract.form.model_copy(update={"load": load})))


@dataclass
class Standing:
    """An accepted correction: what the row that it answers says, and the key that it has."""

    row: Row
    key: str

    @property
    def moves(self) -> bool:
        return self.key != self.row.key


@dataclass
class Model:
    """What core and the open lines must be."""

    core: dict[str, tuple[int, str]] = field(default_factory=dict)
    standing: list[Standing] = field(default_factory=list)
    first: dict[Row, tuple[int, int]] = field(default_factory=dict)
    refused: set[Row] = field(default_factory=set)
    outranked: set[Row] = field(default_factory=set)
    """Of the last delivery: rows of which a copy was refused; those of which every refused copy is one too many."""
    batch: int = 0

    def deliver(self, rows: Sequence[Row]) -> None:
        self.batch += 1
        wrong = {one.row for one in self.standing if not one.row.good and one.row in rows}
        answered = {
            one.row: one
            for one in self.standing
            if one.row in wrong
            and not (one.moves and any(row.good and row.key == one.key for row in rows if row not in wrong))
        }
        newest: dict[str, tuple[int, Row]] = {}
        for number, row in enumerate(rows):
            key = answered[row].key if row in answered else row.key
            if key and (key not in newest or row.place > newest[key][1].place):
                newest[key] = number, row
        taken = {key: row for key, (_, row) in newest.items() if row.good and row not in answered}
        counting = {number for number, _ in newest.values()}
        for one in self.standing:  # one row too many of its key, as long as it is that
            too_many = [number for number, row in enumerate(rows) if row == one.row and number not in counting]
            if one.row.good and too_many and one.key not in taken:
                answered[one.row] = one
        delivered = {*newest, *(one.key for one in answered.values())}
        kept = {key: value for key, value in self.core.items() if key in delivered}
        self.core = kept | {key: (row.place, row.value) for key, row in taken.items()}
        self.standing = [one for one in self.standing if one.row in answered and one.key not in taken]
        numbers = [number for number, row in enumerate(rows) if not row.good or number not in counting]
        self.refused = {rows[number] for number in numbers}
        self.outranked = self.refused - {rows[n] for n in numbers if not rows[n].key or n in counting}
        for number in numbers:
            self.first.setdefault(rows[number], (self.batch, number))

    @property
    def open(self) -> list[Row]:
        return sorted(self.refused - {one.row for one in self.standing})

    def give_back(self, rows: Sequence[tuple[Row, Row]]) -> int:
        """The number of rows accepted."""
        self.batch += 1
        best = {key: max(row.place for _, row in rows if row.key == key) for key in {row.key for _, row in rows}}
        held, core, accepted = {one.key for one in self.standing}, {*self.core}, 0
        for old, row in rows:
            own = old in self.outranked if row.key == old.key else row.key in core
            if row.good and row.place == best[row.key] and not own and row.key not in held:
                self.core[row.key] = row.place, row.value
                self.standing.append(Standing(old, row.key))
                accepted += 1
        return accepted


KEYS = st.sampled_from(["a", "b", "c", ""])
ROW = st.builds(Row, KEYS, st.integers(0, 12), st.sampled_from(["1", "2", "3", BAD]))
BACK = st.sampled_from("abcdef")
TABLE = st.lists(ROW, min_size=1, max_size=8, unique_by=lambda row: (row.key, row.place))


@pytest.mark.long
@settings(max_examples=draws(8), deadline=None)
@given(st.data())
def test_core_and_open_lines_are_those_of_a_plain_model(contracts: Contracts, data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        source, model, rows = table(Path(folder), contracts), Model(), list[Row]()
        for _ in range(data.draw(st.integers(2, 7), "steps")):
            if model.open and data.draw(st.booleans(), "returns"):
                chosen = data.draw(st.lists(st.sampled_from(model.open), min_size=1, max_size=3, unique=True), "lines")
                places = data.draw(st.permutations(range(20, 23)), "places")
                values = [Row(data.draw(BACK), place, data.draw(st.sampled_from(["1", "2", BAD]))) for place in places]
                back = [*zip(chosen, values, strict=False)]
                outcome = source.give_back([(model.first[old], row) for old, row in back])
                assert outcome.accepted == model.give_back(back)
                assert (outcome.deleted, outcome.held) == (0, {})
            else:
                rows = changed(data, rows)
                outcome = source.tell(rows)
                model.deliver(rows)
            assert outcome.received == outcome.accepted + outcome.refused
            assert source.state() == model.core
            assert set(source.lines()) == {model.first[row] for row in model.open}
            if data.draw(st.booleans(), "hashes lost"):
                shutil.rmtree(source.lake.root / "hashes")
                source.lake.prepare()
        if rows:
            source.tell(rows)
            again = source.tell(rows)
            assert again.inserted + again.updated + again.deleted == 0


def changed(data: st.DataObject, before: list[Row]) -> list[Row]:
    """The next delivery: another table, or the last one with rows gone, told twice, or new ones."""
    if not before or not data.draw(st.integers(0, 3), "the same table"):
        rows = data.draw(TABLE, "table")
    else:
        gone = data.draw(st.sets(st.integers(0, len(before) - 1), max_size=2), "gone")
        rows = [row for number, row in enumerate(before) if number not in gone]
        known = {(row.key, row.place) for row in rows}
        rows += [row for row in data.draw(TABLE, "new")[:2] if (row.key, row.place) not in known]
    twice = data.draw(st.lists(st.sampled_from(rows), max_size=2), "twice") if rows else []
    return [*rows, *twice] or [Row("z", 1, "1")]


DAILY = [Row(f"g{number}", 1, "1") for number in range(40)]


@pytest.fixture
def source(tmp_path: Path, contracts: Contracts) -> Table:
    """A table with a deletion ceiling of one row in forty and a volume floor of nine tenths."""
    return table(tmp_path, contracts, ceiling=0.03, floor=0.9)


def test_three_rows_that_come_back_delete_nothing_and_are_not_the_volume_of_a_day(source: Table) -> None:
    dirty = [Row(key, 1, BAD) for key in "abc"]
    source.tell([*DAILY, *dirty])
    outcome = source.give_back([(place, Row(key, 1, "2")) for place, key in zip(source.lines(), "abc", strict=True)])
    assert (outcome.received, outcome.inserted, outcome.deleted, outcome.held) == (3, 3, 0, {})
    assert source.lines() == {} and len(source.state()) == 43
    held = source.tell(DAILY[:5])  # five rows are more than the three that came back, and far fewer than a day's
    assert held.held["admit.volume_floor"] == {"received": 5, "previous": 43, "floor": 0.9}
    outcome = source.tell([*DAILY, *dirty])
    assert (outcome.held, outcome.inserted + outcome.updated + outcome.deleted) == ({}, 0)
    assert source.lines() == {} and len(source.state()) == 43


def test_what_came_back_is_no_day_in_the_history_of_drift(source: Table, contracts: Contracts) -> None:
    source.tell([*DAILY, Row("a", 1, BAD)])
    profile = source.receipts.last(Stage.ADMIT, source.contract.id).body["profile"]
    source.give_back([(source.line(), Row("a", 1, "2"))])
    before = Before.read(source.receipts, source.contract, source.batch + 1)
    assert [rows for _, rows in before.history] == [41] and before.last.received == 41 and before.last.batch == 1
    assert before.last.profile == profile and not before.same


def test_a_key_that_was_wrong_stays_right_as_long_as_its_row_comes(source: Table) -> None:
    dirty = [Row("", 1, str(number)) for number in range(1, 4)]
    source.tell([*DAILY, *dirty])
    keys = ["a", "b", "c"]
    source.give_back([(place, Row(key, 1, "3")) for place, key in zip(source.lines(), keys, strict=True)])
    outcome = source.tell([*DAILY, *dirty, Row("h", 1, "1")])  # without the corrections three rows of 43 were gone
    assert (outcome.held, outcome.inserted, outcome.deleted, outcome.ended) == ({}, 1, 0, [])
    assert set(keys) <= set(source.state()) and source.lines() == {}
    outcome = source.tell([*DAILY, *dirty[:2], Row("b", 2, "2"), Row("h", 1, "1")])
    assert (outcome.updated, outcome.deleted, outcome.ended) == (1, 1, [[2, 1], [2, 2]])
    assert source.state()["b"] == (2, "2") and "c" not in source.state() and source.state()["a"] == (1, "3")
    assert source.lines() == {(1, 41): "step_no.required"}  # the source tells b itself, and still a row without a key


def test_a_copy_with_another_key_stays_while_it_is_one_too_many(source: Table) -> None:
    one, other = Row("a", 2, "1"), Row("a", 1, "2")
    source.tell([*DAILY, one, other])
    assert source.lines() == {(1, 41): DUPLICATE}
    again = source.give_back([(source.line(), Row("a", 3, "2"))])
    assert again.by_rule == {DUPLICATE: 1}, "the other row of the key counts, whatever comes back"
    assert source.give_back([(source.line(), Row("b", 1, "2"))]).inserted == 1
    outcome = source.tell([*DAILY, one, other, Row("h", 1, "1")])
    assert (outcome.deleted, source.lines()) == (0, {}) and {"a", "b"} <= set(source.state())
    outcome = source.tell([*DAILY, other, Row("h", 1, "1")])  # now it is the row of its key
    assert (outcome.updated, outcome.deleted) == (1, 1) and source.state()["a"] == (1, "2")


@pytest.mark.long
@pytest.mark.parametrize("taken", ["good", "bad", "corrected"])
def test_a_key_that_another_row_has_is_not_taken(source: Table, taken: str) -> None:
    wrong, other = Row("", 1, "1"), Row("a", 1, "1" if taken == "good" else BAD)
    source.tell([*DAILY, Row("a", 0, "1")] if taken == "bad" else DAILY)
    source.tell([*DAILY, wrong, other])
    first = {rules: place for place, rules in source.lines().items()}["step_no.required"]
    if taken == "corrected":
        second = next(place for place in source.lines() if place != first)
        assert source.give_back([(first, Row("a", 1, "2"))]).accepted == 1
        first = second
    before = source.state()
    outcome = source.give_back([(first, Row("a", 5, "3"))])
    assert (outcome.accepted, outcome.by_rule) == (0, {DUPLICATE: 1})
    assert source.state() == before and source.lines()[first] == DUPLICATE


def test_a_row_that_was_dropped_and_comes_again_is_open_again(source: Table) -> None:
    source.tell([*DAILY, Row("a", 1, BAD)])
    place = source.line()
    source.give_back([(place, Row("a", 1, "2"))])
    assert source.tell(DAILY).ended == [[2, 0]]
    source.tell([*DAILY, Row("a", 1, BAD)])
    assert "a" not in source.state() and source.line() == place
    source.give_back([(place, Row("a", 1, "3"))])
    assert source.state()["a"] == (1, "3") and source.lines() == {}


def test_a_row_changed_and_dirty_still_is_a_new_line_and_leaves_the_correction(source: Table) -> None:
    source.tell([*DAILY, Row("a", 1, BAD)])
    source.give_back([(source.line(), Row("a", 1, "2"))])
    source.tell([*DAILY, Row("a", 2, BAD)])
    assert source.state()["a"] == (1, "2") and source.line() == (3, 40)


def test_a_laxer_contract_does_not_undo_a_correction(source: Table) -> None:
    """By it the row of the source is right; its department has said something else."""
    right = source.contract
    strict = [rule for rule in right.rules if rule.columns == ("case_step",)]
    dirty = [Row("a", 1, BAD), Row("b", 1, BAD)]
    source.tell([*DAILY, *dirty])
    places = [*source.lines()]
    source.give_back([(places[0], Row("a", 1, "2")), (places[1], Row("c", 1, "2"))])
    rules = tuple(rule for rule in right.rules if rule not in strict)
    source.contract = replace(right, rules=rules, hash="laxer")
    outcome = source.tell([*DAILY, *dirty, Row("d", 1, BAD)])
    assert (outcome.accepted, outcome.by_rule) == (41, {CORRECTED: 2})
    state = source.state()
    assert state["a"] == state["c"] == (1, "2") and state["d"] == (1, BAD) and "b" not in state
    assert source.lines() == {}


def test_a_contract_changed_since_the_last_delivery_is_seen_by_the_next(source: Table) -> None:
    """Rows that come back in between are made by the new contract, all others by the old one."""
    source.tell([*DAILY, Row("a", 1, BAD)])
    source.contract = replace(source.contract, hash="changed")
    source.give_back([(source.line(), Row("a", 1, "2"))])
    assert delta.commit_metadata(source.core, delta.latest(source.core))["contract"] != "changed"
    source.tell([*DAILY, Row("a", 1, BAD), Row("h", 1, "1")])
    assert delta.commit_metadata(source.core, delta.latest(source.core))["contract"] == "changed"


def test_rows_that_come_back_do_not_end_a_correction_of_the_contract(source: Table) -> None:
    """They are not the table: that the row it corrects is not among them says nothing."""
    correcting(source, correction("wrong_step", column="case_step", where={"step_no": "g0"}, expect="1", set="2"))
    source.tell([*DAILY, Row("a", 1, BAD)])
    back = source.give_back([(source.line(), Row("a", 1, "2"))])
    assert back.findings == [] and back.corrections["wrong_step"]["state"] == "matched"
    assert source.state()["g0"] == (1, "2")


class Killed(BaseException):
    pass


@pytest.mark.long
@pytest.mark.parametrize("moment", ["quarantine", "core", "receipt"])
def test_a_batch_of_corrections_killed_at_any_moment_is_applied_once(
    source: Table, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    dirty = [Row("", 1, "1"), Row("a", 1, BAD), Row("b", 1, BAD)]
    source.tell([*DAILY, *dirty])
    corrected = [Row("c", 1, "2"), Row("a", 1, "2"), Row("b", 1, BAD)]
    delivery = source.returned([*zip(source.lines(), corrected, strict=True)])
    commit, add = Batch._commit, source.receipts.add

    def killed_after_quarantine(batch: Batch, location: Path, *rest: Any) -> int:
        if location == batch.core and moment == "quarantine":
            raise Killed
        version = commit(batch, location, *rest)
        if location == batch.core:
            raise Killed
        return version

    def killed(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patched, pytest.raises(Killed):
        if moment == "receipt":
            patched.setattr(source.receipts, "add", killed)
        else:
            patched.setattr(Batch, "_commit", killed_after_quarantine)
        source.admit(delivery)
    assert len(source.lines()) == 3  # nothing is said yet
    outcome = source.admit(delivery)
    assert (outcome.accepted, outcome.inserted, outcome.refused) == (2, 2, 1)
    assert len(source.refused(delivery.batch)) == 1 and source.receipts.add == add
    expected = {row.key: (row.place, row.value) for row in [*DAILY, *corrected[:2]]}
    assert source.state() == expected
    assert source.admit(delivery) == outcome and source.state() == expected
    assert source.tell([*DAILY, *dirty]).deleted == 0 and source.state() == expected


def test_hashes_kept_after_corrections_are_those_of_core(source: Table) -> None:
    source.tell([*DAILY, Row("a", 0, "1")])
    source.tell([*DAILY, Row("", 1, "1"), Row("a", 1, BAD)])
    source.give_back([*zip(source.lines(), [Row("c", 1, "2"), Row("a", 1, "2")], strict=True)])
    (kept,) = source.lake.hashes(source.contract.org, source.contract.dataset).glob("*.parquet")
    keys = [key for (key,) in duckdb.sql(f"SELECT step_no FROM '{kept}' ORDER BY 1").fetchall()]
    assert keys == sorted(source.state())


def test_of_a_key_told_twice_the_row_that_counts_decides(source: Table) -> None:
    older, newest = Row("a", 1, "1"), Row("a", 2, BAD)
    source.tell([*DAILY, older, newest])
    places = {rules: place for place, rules in source.lines().items()}
    source.give_back([(places["case_step.in_codes"], Row("a", 2, "2"))])
    assert source.tell([*DAILY, older, newest, Row("h", 1, "1")]).ended == []
    assert source.state()["a"] == (2, "2") and list(source.lines().values()) == [DUPLICATE]
    outcome = source.tell([*DAILY, newest, Row("a", 3, "3")])  # the source tells a newer one and keeps the bad one
    assert outcome.ended == [[2, 0]] and source.state()["a"] == (3, "3")
    assert list(source.lines().values()) == [f"case_step.in_codes,{DUPLICATE}"]
    again = source.give_back([(source.line(), Row("a", 9, "2"))])
    assert again.by_rule == {DUPLICATE: 1} and source.state()["a"] == (3, "3")


def test_a_table_that_was_never_returned_to_asks_nothing_of_quarantine(source: Table) -> None:
    source.tell([*DAILY, Row("a", 1, BAD)])
    assert Before.read(source.receipts, source.contract, 2).answers == Answers()
    assert source.receipts.pulls(source.contract.id, RETURNED) == []
