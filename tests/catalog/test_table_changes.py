"""Tables of changes (I, U, D) beside tables of recipients, on real PostgreSQL and MariaDB: applied in their order they
lead from each version to the next, and keep nothing that the table may not have."""

import random
from collections import Counter
from typing import Any

import pytest

from catalog.delivery.desk import Desk
from catalog.delivery.tables import rows
from catalog.delivery.tables.deliver import deliver as deliver_table
from catalog.policy import epochs
from pipelines.messages import CitylakeError
from pipelines.release.ledger import ERASURE, Entry
from tests.catalog.receiving import RECIPIENT, Bureau
from tests.catalog.small_city import GUARD, PERSONS
from tests.catalog.test_changes import COLUMNS, table_of
from tests.catalog.test_tables import drawn
from tests.city import seed_from_clock

pytestmark = pytest.mark.server
DELIVERY = "persons_changes"


def operations(bureau: Bureau) -> Counter[tuple[str, int]]:
    """How many rows of the table of changes there are by operation and version."""
    listed = bureau.receiver.run("SELECT _citylake_operation, _citylake_version FROM t_changes")
    return Counter((str(operation), int(version)) for operation, version in listed)


class Follower:
    """Who reads the table once and from then on its changes alone, by their numbers."""

    def __init__(self, bureau: Bureau, columns: list[str]) -> None:
        self.bureau, self.columns = bureau, columns
        self.rows: dict[str, tuple[Any, ...]] = {}
        self.number = 0

    def follow(self) -> Counter[tuple[Any, ...]]:
        quoted = ", ".join(map(self.bureau.receiver.quoted, ("_citylake_row", *self.columns)))
        news = self.bureau.receiver.run(
            f"SELECT _citylake_number, _citylake_operation, {quoted} FROM t_changes "
            f"WHERE _citylake_number > {self.number} ORDER BY _citylake_number"
        )
        for number, operation, name, *values in news:
            self.number = number
            if operation == "F":
                held = self.bureau.receiver.run(f"SELECT {quoted} FROM t")
                self.rows = {row[0]: tuple(row[1:]) for row in held}
                self.number = self.bureau.receiver.run("SELECT max(_citylake_number) FROM t_changes")[0][0]
                break
            if operation == "D":
                assert self.rows.pop(name) == tuple(values), "it says what it was"
            else:
                assert (name in self.rows) is (operation == "U")
                self.rows[name] = tuple(values)
        return Counter(self.rows.values())


@pytest.mark.long
@pytest.mark.parametrize("shown", [None, ["name", "sex", "county_name"]], ids=["key", "rows"])
def test_whoever_applies_the_changes_has_the_table(
    bureau: Bureau, shown: list[str] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "BATCH", 7)
    dice = random.Random(seed_from_clock())
    bureau.grant(divisions=["341502", "341503"], columns=shown)
    made = {column.name: [column.source, column.mask] for column in bureau.city.contracts.products[PERSONS].columns}
    body = {name: how for name, how in made.items() if name in COLUMNS}
    follower = None
    for day in range(4):
        bureau.city.release(PERSONS, query=table_of(drawn(dice), COLUMNS), columns=body)
        done = bureau.deliver(DELIVERY)
        columns, expected = bureau.expected(DELIVERY)
        follower = follower or Follower(bureau, columns)
        assert follower.follow() == expected and bureau.equal(DELIVERY)
        told = operations(bureau)
        of_day = {operation: told[operation, done.version or 0] for operation in "FIUD"}
        counts = {"F": 0, "I": done.inserted, "U": done.updated, "D": done.deleted}
        assert of_day == (counts if day else {"F": 1, "I": 0, "U": 0, "D": 0})
        assert bureau.deliver(DELIVERY).how == "unchanged" and operations(bureau) == told
    moments = bureau.receiver.run("SELECT count(DISTINCT _citylake_time), count(*) FROM t_changes")
    assert moments[0][0] == 4


@pytest.mark.long
def test_it_begins_anew_with_all_rows_and_after_an_erasure(bureau: Bureau) -> None:
    """What the table of changes tells of versions that were changed afterwards may be what was erased from them."""
    first = bureau.deliver(DELIVERY).version
    bureau.city.release(PERSONS, 50)
    second = bureau.deliver(DELIVERY).version
    assert operations(bureau) == {("F", first): 1, ("I", second): 10}
    bureau.city.release(PERSONS, 30)
    third = bureau.deliver(DELIVERY).version
    assert operations(bureau) == {("F", first): 1, ("I", second): 10, ("D", third): 20}
    rewritten = {PERSONS: {str(second): ["f", "g"]}}
    bureau.city.ledger.record([Entry(ERASURE, f"删{second}号", "r", None, {"releases": rewritten})])
    assert bureau.deliver(DELIVERY).how == "unchanged" and operations(bureau) == {("F", third): 1}
    bureau.city.release(PERSONS, 31)
    fourth = bureau.deliver(DELIVERY).version
    assert operations(bureau) == {("F", third): 1, ("I", fourth): 1}
    epochs.rotate(bureau.city.register, RECIPIENT, "年度更换", actor=GUARD, zone="Asia/Shanghai")
    assert bureau.deliver(DELIVERY).how == "snapshot" and operations(bureau) == {("F", fourth): 1}


def test_what_was_worked_off_may_go_and_an_erasure_still_empties_it(bureau: Bureau) -> None:
    """A deleted row has the values of the version before: without the row that told of that one it says so itself."""
    first = bureau.deliver(DELIVERY).version
    bureau.city.release(PERSONS, 30)
    second = bureau.deliver(DELIVERY).version
    bureau.receiver.run(f"DELETE FROM t_changes WHERE _citylake_version <= {first}")
    assert bureau.deliver(DELIVERY).how == "unchanged" and operations(bureau) == {("D", second): 10}
    assert bureau.receiver.run("SELECT DISTINCT _citylake_since FROM t_changes") == [(first,)]
    rewritten = {PERSONS: {str(first): ["f", "g"]}}
    bureau.city.ledger.record([Entry(ERASURE, f"删{first}号", "r", None, {"releases": rewritten})])
    assert bureau.deliver(DELIVERY).how == "unchanged" and operations(bureau) == {("F", second): 1}
    assert bureau.deliver(DELIVERY).how == "unchanged" and operations(bureau) == {("F", second): 1}


def test_a_table_of_changes_from_before_begins_anew_once(bureau: Bureau) -> None:
    """Its rows do not say which version they lead on from."""
    bureau.deliver(DELIVERY)
    bureau.city.release(PERSONS, 30)
    second = bureau.deliver(DELIVERY).version
    bureau.receiver.run("ALTER TABLE t_changes DROP COLUMN _citylake_since")
    bureau.city.release(PERSONS, 31)
    third = bureau.deliver(DELIVERY).version
    assert operations(bureau) == {("F", second): 1, ("I", third): 1}


def kept_no_more(bureau: Bureau, **changed: str) -> str:
    """Deliver as if city.yaml did not ask for the table of changes any longer."""
    desk = Desk(bureau.city.settings, bureau.city.register)
    form = desk.listing.snapshot().contracts.city.deliveries[bureau.name(DELIVERY)]
    told = form.model_copy(update={"changes": False, **changed})
    return deliver_table(desk, bureau.name(DELIVERY), told, "test").how  # type: ignore[arg-type]


def test_it_goes_with_the_rows_and_when_it_is_kept_no_more(bureau: Bureau) -> None:
    bureau.deliver(DELIVERY)
    assert kept_no_more(bureau) == "unchanged" and operations(bureau) == Counter()
    assert bureau.deliver(DELIVERY).how == "unchanged" and operations(bureau).total() == 1
    bureau.city.release(PERSONS, 50)
    assert kept_no_more(bureau) == "changes" and operations(bureau) == Counter()
    held = bureau.city.release(PERSONS, 49)
    bureau.deliver(DELIVERY)
    assert operations(bureau) == {("F", held - 1): 1, ("D", held): 1}
    bureau.end()
    assert bureau.deliver(DELIVERY).how == "ended"
    assert operations(bureau) == Counter() and bureau.receiver.run("SELECT count(*) FROM t")[0] == (0,)


def test_one_that_is_kept_no_more_goes_at_an_end_that_keeps_the_rows(bureau: Bureau) -> None:
    bureau.deliver(DELIVERY)
    bureau.end()
    assert operations(bureau).total() == 1
    assert kept_no_more(bureau, whenEnded="keep") == "ended"
    assert operations(bureau) == Counter() and bureau.receiver.run("SELECT count(*) FROM t")[0] == (40,)


def test_a_table_that_is_not_ours_is_left_alone(bureau: Bureau) -> None:
    bureau.receiver.run("CREATE TABLE t_changes (remark varchar(9))")
    with pytest.raises(CitylakeError, match="_citylake_number"):
        bureau.deliver(DELIVERY)
    bureau.receiver.run("INSERT INTO t_changes VALUES ('ours')")
    assert bureau.deliver("persons").how == "snapshot"
    assert bureau.receiver.run("SELECT remark FROM t_changes") == [("ours",)]
