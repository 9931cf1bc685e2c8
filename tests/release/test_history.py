"""A row as of a day, from its present state and its changes: against every state it ever had."""

from dataclasses import replace
from datetime import date, timedelta
from types import SimpleNamespace
from typing import Any, cast

import duckdb
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.linkage.tables import values
from pipelines.release.history import BOOKS, RECORD, Change, History, all_as_of, as_of
from pipelines.release.rows import ReleasedRows

DAY = date(2026, 1, 1)
VALUES = st.sampled_from(["a", "b", "c", None])
STEPS = st.lists(st.tuples(VALUES, VALUES, st.integers(0, 5)), max_size=8)
"""What the two cells of a row are from one day to the next, and how many days ago that became true."""


def made(first: tuple[str | None, str | None], steps: list[tuple[str | None, str | None, int]]) -> History:
    changes, now = [], dict(zip("xy", first, strict=True))
    for number, (x, y, late) in enumerate(steps, 1):
        known = DAY + timedelta(days=number)
        for field, value in (("x", x), ("y", y)):
            if now[field] != value:
                held = known - timedelta(days=late)
                changes.append(Change(field, now[field], value, held, "source", known, f"e{number}"))
                now[field] = value
    return History("lib_town__house", ("id",), dict(now), tuple(changes))


@given(st.tuples(VALUES, VALUES), STEPS)
def test_what_was_known_on_a_day_is_what_the_row_was_then(
    first: tuple[str | None, str | None], steps: list[tuple[str | None, str | None, int]]
) -> None:
    found = made(first, steps)
    for number, (x, y) in enumerate([first, *((x, y) for x, y, _ in steps)]):
        assert as_of(found, date.max, DAY + timedelta(days=number)) == {"x": x, "y": y}


@given(st.tuples(VALUES, VALUES), STEPS, st.integers(-6, 9), st.integers(0, 9))
def test_a_value_is_true_from_its_day_on_once_it_is_known(
    first: tuple[str | None, str | None], steps: list[tuple[str | None, str | None, int]], true: int, known: int
) -> None:
    """Against asking each day by itself: a later word about a day overrules an earlier one."""
    expected = dict(zip("xy", first, strict=True))
    now = dict(expected)
    for number, (x, y, late) in enumerate(steps, 1):
        for field, value in (("x", x), ("y", y)):
            if now[field] != value and number <= known and number - late <= true:
                expected[field] = value
            now[field] = value
    assert as_of(made(first, steps), DAY + timedelta(days=true), DAY + timedelta(days=known)) == expected


def change(before: str, after: str, held: int, known: int) -> Change:
    return Change("record", before, after, DAY + timedelta(held), "source", DAY + timedelta(known), f"e{known}")


def test_a_row_is_there_from_the_day_it_came_until_the_day_it_went() -> None:
    gone = History("m", ("id",), None, (change("0", "1", 1, 2), change("1", "0", 5, 6)))
    states = [as_of(gone, DAY + timedelta(true), DAY + timedelta(known)) for true, known in ((0, 9), (1, 9), (1, 1))]
    assert states == [None, {}, None]
    assert as_of(gone, DAY + timedelta(5), DAY + timedelta(5)) == {}  # that it went was not known yet
    assert as_of(gone, DAY + timedelta(5), DAY + timedelta(6)) is None


def test_what_tells_where_present_values_come_from_is_not_told_of_another_day() -> None:
    row = {"x": "a", "source_updated_at": "2026-11-30", "attr_source": "x psb/household_person", "source_rows": "r"}
    assert as_of(History("m", ("id",), row, ()), DAY, DAY) == {"x": "a"}


def released(found: dict[str, History]) -> ReleasedRows:
    """Rows and changes of a library as two relations."""
    columns, told = ("id", "x", "y", *BOOKS), ("id", "history_field", "history_before", "history_after", "known_in")
    rows: list[tuple[str | None, ...]] = [
        (key, one.row["x"], one.row["y"], *BOOKS) for key, one in found.items() if one.row is not None
    ]
    changes: list[tuple[str | None, ...]] = [
        (key, each.field, each.before, each.after, each.known_in, str(each.holds_from), str(each.known_on))
        for key, one in found.items()
        for each in one.changes
    ]
    listed = values(changes, *told, "held", "known")
    book = f"(SELECT *, CAST(held AS DATE) AS holds_from, CAST(known AS DATE) AS known_on FROM {listed})"
    relations = {"m": values(rows, *columns), "m_history": book}
    models = {
        name: SimpleNamespace(
            form=SimpleNamespace(key=["id"], model=name), columns=[SimpleNamespace(name=column) for column in columns]
        )
        for name in relations
    }
    made: Any = SimpleNamespace(
        contracts=SimpleNamespace(models=models),
        published_model=lambda name: (models[name], SimpleNamespace(version=1)),
        ledger=SimpleNamespace(release_beside=lambda name, entry: None),
        relation=lambda contract, version: relations[contract.form.model],
    )
    return cast(ReleasedRows, made)


@settings(deadline=None, max_examples=40)
@given(
    st.dictionaries(st.sampled_from("pqr"), st.tuples(st.tuples(VALUES, VALUES), STEPS, st.booleans())),
    st.integers(-6, 9),
    st.integers(0, 9),
)
def test_all_rows_as_of_a_day_are_each_row_as_of_it(library: dict[str, Any], true: int, known: int) -> None:
    """Also rows that are gone, and those that came."""
    found = {}
    for key, (first, steps, gone) in library.items():
        one = made(first, steps)
        if gone:
            last = DAY + timedelta(days=len(steps) + 1)
            ended = [
                Change(name, value, None, last, "known", last, "e9") for name, value in (one.row or {}).items() if value
            ]
            one = History(
                "m", ("id",), None, (*one.changes, Change(RECORD, "1", "0", last, "known", last, "e9"), *ended)
            )
        found[key] = one
    days = DAY + timedelta(days=true), DAY + timedelta(days=known)
    expected = {key: row for key, one in found.items() if (row := as_of(one, *days)) is not None}
    with duckdb.connect() as con:
        rows = con.execute(all_as_of(released(found), "m", *days)).fetchall()
    assert [row[0] for row in rows] == sorted(expected)
    assert {key: {"x": x, "y": y} for key, x, y in rows} == {
        key: {"x": row.get("x"), "y": row.get("y")} for key, row in expected.items()
    }


LIVES = st.lists(st.tuples(st.none() | st.tuples(VALUES, VALUES), st.integers(0, 5)), max_size=8)
"""What a row is from one day to the next, None while it is not there, and how many days ago that became true."""


def logged(first: tuple[str | None, str | None] | None, life: list[Any]) -> History:
    """As the macro `history` tells it: a row that goes with each cell that has a value, one that comes without any."""
    changes, now = [], first
    for number, (then, late) in enumerate(life, 1):
        known = DAY + timedelta(days=number)
        held = known if then is None else known - timedelta(days=late)
        told: list[tuple[str, str | None, str | None]] = []
        if (now is None) != (then is None):
            told.append((RECORD, "0" if now is None else "1", "0" if then is None else "1"))
        if now is not None:
            told += [(name, now[place], then[place] if then else None) for place, name in enumerate("xy")]
        changes += [
            Change(name, before, after, held, "source", known, f"e{number}")
            for name, before, after in told
            if before != after
        ]
        now = then
    return History("m", ("id",), None if now is None else {"id": "k", **dict(zip("xy", now, strict=True))}, (*changes,))


def remembered(first: Any, life: list[Any], true: int, known: int) -> tuple[str | None, str | None] | None:
    """The plain model: each day tells of the record and of its cells from when on they are what they are; of one that
    came, of all of them. A later word about a day overrules an earlier one."""
    there, cells, now = first is not None, list(first or (None, None)), first
    for number, (then, late) in enumerate(life, 1):
        if number <= known and number - (0 if then is None else late) <= true:
            if (now is None) != (then is None):
                there = then is not None
            for place in range(2):
                if then is not None and (now is None or now[place] != then[place]):
                    cells[place] = then[place]
        now = then
    return (cells[0], cells[1]) if there else None


@settings(deadline=None, max_examples=150)
@given(
    st.dictionaries(st.sampled_from("pqr"), st.tuples(st.none() | st.tuples(VALUES, VALUES), LIVES)),
    st.integers(-6, 9),
    st.integers(0, 9),
)
def test_a_row_that_goes_and_comes_back_has_its_values(library: dict[str, Any], true: int, known: int) -> None:
    """Going, coming back and changing in any order, on both axes, of one row and of all."""
    days = DAY + timedelta(days=true), DAY + timedelta(days=known)
    found = {}
    for key, (first, life) in library.items():
        one = logged(first, life)
        found[key] = replace(one, row=one.row and {**one.row, "id": key})
    expected = {
        key: row for key, (first, life) in library.items() if (row := remembered(first, life, true, known)) is not None
    }
    alone = {key: row for key, one in found.items() if (row := as_of(one, *days)) is not None}
    assert {key: (row.get("x"), row.get("y")) for key, row in alone.items()} == expected
    with duckdb.connect() as con:
        rows = con.execute(all_as_of(released(found), "m", *days)).fetchall()
    assert {key: (x, y) for key, x, y in rows} == expected
