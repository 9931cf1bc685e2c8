"""Working days: which days authorities work, as the State Council says year by year, and deadlines counted in them.

A year that is not announced yet is provisional: weekends and the holidays that the law fixes to a date. A deadline that
reaches into one is provisional too, and moves when the year is announced; so deadlines are computed, never stored.
"""

from dataclasses import dataclass
from datetime import date, timedelta

from pipelines.contracts.forms.city import WorkCalendarForm

SATURDAY = 5


@dataclass(frozen=True)
class Due:
    """The last day of a deadline. `provisional`: a year on the way to it is not announced yet."""

    day: date
    provisional: bool


class WorkCalendar:
    """The working days of a city."""

    def __init__(self, form: WorkCalendarForm) -> None:
        self._form = form

    def works(self, day: date) -> bool:
        """Whether authorities work on a day: holidays go first, then weekends that are worked instead."""
        year = self._form.years.get(day.year)
        if year is None:
            return day.weekday() < SATURDAY and f"{day:%m-%d}" not in self._form.statutory
        if day.isoformat() in year.off:
            return False
        return day.weekday() < SATURDAY or day.isoformat() in year.worked

    def due(self, since: date, days: int) -> Due:
        """The last of so many working days after a day, which itself does not count (《民法典》第二百零一条)."""
        day, left = since, days
        while left:
            day += timedelta(days=1)
            left -= self.works(day)
        announced = {year for year in range(since.year, day.year + 1) if year in self._form.years}
        return Due(day, len(announced) < day.year - since.year + 1)
