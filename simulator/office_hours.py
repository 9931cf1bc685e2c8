"""Working days and hours of the city's offices, public holidays and make-up days included.

The simulator's own table, from memory of the yearly notices; the engine has a calendar of its own.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

_HOLIDAYS = (
    ("2025-01-01", 1),
    ("2025-01-28", 8),
    ("2025-04-04", 3),
    ("2025-05-01", 5),
    ("2025-05-31", 3),
    ("2025-10-01", 8),
    ("2026-01-01", 3),
    ("2026-02-15", 9),
    ("2026-04-04", 3),
    ("2026-05-01", 5),
    ("2026-06-19", 3),
    ("2026-09-25", 3),
    ("2026-10-01", 7),
)
"""First day and number of days; in other years only weekends are free."""
_FREE = frozenset(date.fromisoformat(first) + timedelta(days=day) for first, days in _HOLIDAYS for day in range(days))
_MAKE_UP = frozenset(
    date.fromisoformat(f"{year}-{day}")
    for year, days in (
        (2025, ("01-26", "02-08", "04-27", "09-28", "10-11")),
        (2026, ("01-04", "02-14", "02-28", "05-09", "09-20", "10-10")),
    )
    for day in days
)
_OPENING, _CLOSING = time(8, 30), time(17, 30)
OFFICE_SECONDS = 9 * 3600


def is_working_day(day: date) -> bool:
    """Whether the offices are open."""
    return day in _MAKE_UP or (day.weekday() < 5 and day not in _FREE)


def working_days_later(day: date, count: int) -> date:
    """The day that many working days after a day; with 0 the day itself."""
    while count > 0:
        day += timedelta(days=1)
        count -= is_working_day(day)
    return day


def working_days_earlier(day: date, count: int) -> date:
    """The day after which so many working days come until a day, that day among them; the latest of such days."""
    while count > 0:
        count -= is_working_day(day)
        day -= timedelta(days=1)
    return day


def at_office(day: date, second: int) -> datetime:
    """A moment within the office hours of a day: so many seconds after opening."""
    return datetime.combine(day, _OPENING) + timedelta(seconds=second % OFFICE_SECONDS)


def closing(day: date) -> datetime:
    """The end of the office hours of a day."""
    return datetime.combine(day, _CLOSING)
