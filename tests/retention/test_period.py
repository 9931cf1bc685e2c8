"""Periods of contracts by the calendar, against dateutil."""

from datetime import date, timedelta

from dateutil.relativedelta import relativedelta
from hypothesis import given
from hypothesis import strategies as st

from pipelines.retention.period import FOREVER, due_on, horizon

PERIODS = st.builds(lambda count, unit: f"{count}{unit}", st.integers(1, 400), st.sampled_from("dmy"))
DAYS = st.dates(date(1900, 1, 1), date(2100, 12, 31))
UNITS = {"d": "days", "m": "months", "y": "years"}


@given(DAYS, PERIODS)
def test_a_day_falls_due_when_the_period_is_over(start: date, period: str) -> None:
    assert due_on(start, period) == start + relativedelta(**{UNITS[period[-1]]: int(period[:-1])})


@given(DAYS, PERIODS)
def test_all_days_up_to_the_horizon_are_due_and_no_other(today: date, period: str) -> None:
    found = horizon(today, period)
    assert found is not None
    for days in range(-40, 41):
        due = due_on(found + timedelta(days), period)
        assert due is not None and (due <= today) == (days <= 0)


def test_for_ever_never_ends_and_the_calendar_has_ends() -> None:
    assert due_on(date(2026, 1, 1), FOREVER) is None and horizon(date(2026, 1, 1), FOREVER) is None
    assert horizon(date(2026, 1, 1), "9999y") is None and due_on(date(2026, 1, 1), "9999y") is None
    assert horizon(date(2027, 2, 28), "1m") == date(2027, 1, 31)
