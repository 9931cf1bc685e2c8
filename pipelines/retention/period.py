"""Periods of contracts (`10y`, `6m`, `30d`, `永久`) by the calendar.

A day `d` is due when `d` plus the period is today or earlier; the 31st plus a month is the last day of the next month.
"""

import calendar
from datetime import date, timedelta

FOREVER = "永久"


def due_on(start: date, period: str) -> date | None:
    """The day on which what is counted from `start` falls due; None if it never does."""
    if period == FOREVER:
        return None
    try:
        return _moved(start, int(period[:-1]), period[-1])
    except (OverflowError, ValueError):  # beyond the calendar
        return None


def horizon(today: date, period: str) -> date | None:
    """The newest day that is due today: all days up to it are, none after it is. None if none is."""
    if period == FOREVER:
        return None
    try:
        found = _moved(today, -int(period[:-1]), period[-1])
    except (OverflowError, ValueError):
        return None
    while (later := due_on(found + timedelta(1), period)) is not None and later <= today:
        found += timedelta(1)  # the last days of a long month fall due together
    return found


def _moved(day: date, count: int, unit: str) -> date:
    if unit == "d":
        return day + timedelta(count)
    months = day.year * 12 + day.month - 1 + count * (12 if unit == "y" else 1)
    year, month = divmod(months, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))
