"""Working days of announced and provisional years, and deadlines that cross from one into the other."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.contracts.calendar import Due, WorkCalendar
from pipelines.contracts.forms.city import WorkYear
from pipelines.contracts.load import Contracts

days = st.dates(date(2026, 1, 1), date(2028, 12, 31))


@pytest.fixture(scope="module")
def calendar(contracts: Contracts) -> WorkCalendar:
    assert contracts.city.workCalendar is not None
    return WorkCalendar(contracts.city.workCalendar)


@pytest.mark.parametrize(
    ("day", "works"),
    [
        (date(2026, 1, 1), False),
        (date(2026, 1, 4), True),  # a Sunday worked instead of 2 January
        (date(2026, 2, 14), True),  # a Saturday before the spring festival
        (date(2026, 2, 18), False),
        (date(2026, 10, 10), True),
        (date(2026, 11, 28), False),
        (date(2026, 11, 30), True),
        (date(2027, 1, 1), False),  # provisional: fixed by law
        (date(2027, 2, 8), True),  # provisional: nobody has said yet that the spring festival is off
        (date(2027, 10, 3), False),
    ],
)
def test_working_days(calendar: WorkCalendar, day: date, works: bool) -> None:
    assert calendar.works(day) is works


def test_2026_has_as_many_working_days_as_announced(calendar: WorkCalendar) -> None:
    year = [date(2026, 1, 1) + timedelta(days=number) for number in range(365)]
    assert sum(map(calendar.works, year)) == 248


@pytest.mark.parametrize(
    ("since", "number", "due"),
    [
        (date(2026, 11, 26), 10, Due(date(2026, 12, 10), False)),
        (date(2026, 9, 30), 1, Due(date(2026, 10, 8), False)),
        (date(2026, 9, 18), 1, Due(date(2026, 9, 20), False)),  # Friday: the Sunday after it is worked
        (date(2026, 12, 7), 18, Due(date(2026, 12, 31), False)),
        (date(2026, 12, 7), 20, Due(date(2027, 1, 5), True)),
    ],
)
def test_deadlines(calendar: WorkCalendar, since: date, number: int, due: Due) -> None:
    assert calendar.due(since, number) == due


def test_a_deadline_moves_when_the_year_is_announced(contracts: Contracts) -> None:
    form = contracts.city.workCalendar
    assert form is not None
    announced = WorkYear(off=["2027-01-01", "2027-01-04"], worked=["2027-01-10"], source="假设的通知")
    later = form.model_copy(update={"years": form.years | {2027: announced}})
    assert WorkCalendar(later).due(date(2026, 12, 7), 20) == Due(date(2027, 1, 6), False)


@given(since=days, number=st.integers(1, 60))
def test_a_deadline_is_a_working_day_with_as_many_on_the_way(contracts: Contracts, since: date, number: int) -> None:
    assert contracts.city.workCalendar is not None
    calendar = WorkCalendar(contracts.city.workCalendar)
    due = calendar.due(since, number)
    between = [since + timedelta(days=one) for one in range(1, (due.day - since).days + 1)]
    assert calendar.works(due.day)
    assert sum(map(calendar.works, between)) == number
    assert due.provisional == (due.day.year > 2026)
