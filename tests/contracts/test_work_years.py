"""Working days as models count them, against a slow count by the work calendar: over New Year, spring festivals,
make-up days and years of which nobody knows yet which days are off."""

from datetime import date, timedelta
from pathlib import Path

import duckdb
import jinja2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.contracts.calendar import WorkCalendar
from pipelines.contracts.dbt import work_years
from pipelines.contracts.forms.city import WorkCalendarForm, WorkYear
from pipelines.contracts.resolved import Contracts

MACROS = Path(__file__).parents[2] / "dbt_project/macros/portable/work_days.sql"
QUERY = """
with day as (select cast('{{ since }}' as date) as since, cast('{{ until }}' as date) as until),
calendar as (select * from {{ work_calendar('k') }})
select {% for by in ('worked', 'fewest', 'most') %}{{ work_days_between('since', 'f', 'until', 'l', by) }}, {% endfor %}
from day left join calendar f on f.work_year = year(since) left join calendar l on l.work_year = year(until)
"""
LIMIT = 7
days = st.dates(date(2025, 9, 1), date(2028, 3, 31))


def counted(form: WorkCalendarForm | None, since: date, until: date) -> tuple[int, int, int]:
    """What the macros make of two days in an edition of the second: worked, fewest, most."""
    macros = work_years(form, until) + MACROS.read_text("utf-8")
    sql = jinja2.Environment().from_string(macros + QUERY).render(since=since, until=until)
    found = duckdb.sql(sql).fetchone()
    assert found is not None
    return found


def slowly(calendar: WorkCalendar, since: date, until: date) -> int:
    """Day by day; a day of rest counts as the working day after it."""
    between = [since + timedelta(days=number) for number in range(1, (until - since).days + 1)]
    rests = not calendar.works(until)
    return sum(map(calendar.works, between)) + rests


def bounded(fewest: int, worked: int, most: int) -> bool:
    """Of one day, which may or may not be worked, nobody knows whether it counts."""
    return fewest <= max(worked, 1) and worked <= max(most, 1)


@st.composite
def announced(draw: st.DrawFn, years: tuple[int, ...]) -> dict[int, WorkYear]:
    """Any days off and worked in some years."""
    found = {}
    for year in years:
        in_year = st.dates(date(year, 1, 1), date(year, 12, 31))
        chosen = draw(st.sets(in_year, max_size=30) | st.just({date(year, 1, day) for day in range(1, 20)}))
        off = [day.isoformat() for day in chosen if day.weekday() < 5]
        worked = [day.isoformat() for day in chosen if day.weekday() >= 5]
        found[year] = WorkYear(off=off, worked=worked, source="假设的通知")
    return found


@given(since=days, length=st.integers(0, 45) | st.integers(0, 500))
@settings(deadline=None)
def test_models_count_as_the_calendar_does(contracts: Contracts, since: date, length: int) -> None:
    form, until = contracts.city.workCalendar, since + timedelta(days=length)
    assert form is not None
    calendar = WorkCalendar(form)
    worked, fewest, most = counted(form, since, until)
    assert worked == slowly(calendar, since, until)
    assert fewest == worked == most or (until.year > 2026 and bounded(fewest, worked, most))
    # within so many working days is the same as by the last day of the deadline
    assert (worked > LIMIT) == (until > calendar.due(since, LIMIT).day)


@pytest.mark.long
@given(data=st.data(), since=days, length=st.integers(0, 20))
@settings(deadline=None)
def test_what_is_told_before_a_year_is_announced_holds_afterwards(
    data: st.DataObject, since: date, length: int
) -> None:
    until = since + timedelta(days=length)
    known = data.draw(announced((2025, 2026)))
    later = known | data.draw(announced((2027, 2028)))
    form = WorkCalendarForm(years=known, statutory=["01-01", "10-01"])
    _, fewest, most = counted(form, since, until)
    worked, *same = counted(form.model_copy(update={"years": later}), since, until)
    assert same == [worked, worked]
    assert bounded(fewest, worked, most)


@pytest.mark.parametrize("form", [None, WorkCalendarForm(years={}, statutory=[])])
def test_without_a_calendar_nothing_is_known_of_any_year(form: WorkCalendarForm | None) -> None:
    assert counted(form, date(2026, 11, 2), date(2026, 11, 12)) == (8, 1, 10)


def test_of_a_day_before_the_calendar_it_is_counted_from_its_beginning(contracts: Contracts) -> None:
    worked, _, _ = counted(contracts.city.workCalendar, date(2019, 5, 1), date(2021, 1, 5))
    assert worked == 2
