"""A row as of a day, from its present state and its changes: against every state it ever had."""

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from pipelines.release.history import Change, History, as_of

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
    return History("lib_town__house", dict(now), tuple(changes))


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
    gone = History("m", None, (change("0", "1", 1, 2), change("1", "0", 5, 6)))
    states = [as_of(gone, DAY + timedelta(true), DAY + timedelta(known)) for true, known in ((0, 9), (1, 9), (1, 1))]
    assert states == [None, {}, None]
    assert as_of(gone, DAY + timedelta(5), DAY + timedelta(5)) == {}  # that it went was not known yet
    assert as_of(gone, DAY + timedelta(5), DAY + timedelta(6)) is None


def test_what_tells_where_present_values_come_from_is_not_told_of_another_day() -> None:
    row = {"x": "a", "source_updated_at": "2026-11-30", "attr_source": "x psb/household_person", "source_rows": "r"}
    assert as_of(History("m", row, ()), DAY, DAY) == {"x": "a"}
