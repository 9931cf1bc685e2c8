"""Volumes: whether a delivery has unusually many or few rows for the day on which it came.

Where days of work and of rest differ, days are compared with days of the same kind by the city's work calendar; a
source that delivers the same every day has no such excuse. What becomes of an unusual volume is decided in `drift`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from statistics import median
from zoneinfo import ZoneInfo

from pipelines.admission.profile import ENOUGH
from pipelines.contracts.calendar import WorkCalendar
from pipelines.contracts.forms.city import CityForm
from pipelines.register.store import now

HISTORY, BATCHES = 20, 5
"""Batches of a kind that are looked back at, and how many there must be to say how they vary."""
SPREAD, LEAST = 5, 0.2
"""A volume is unusual beyond so many deviations (scaled MAD), by more than this share and by more rows than ENOUGH."""
NORMAL = 1.4826
"""The MAD of values that vary normally, times this, is their standard deviation."""
LOOKED = 400
"""Batches that are read: of a daily source those of a year ago are among them."""
YEAR, SEASON = timedelta(days=364), timedelta(days=21)
"""The same day of the week a year ago, and how far around it the days are of the same season."""
OFTEN = 2
"""A source that delivers on a day as a rule, or on every second: of one that comes by the month days say nothing."""


@dataclass(frozen=True)
class Volume:
    """The rows of one delivery and the city's day on which it was admitted."""

    day: date
    rows: int


@dataclass(frozen=True)
class Unusual:
    """A volume that is not like `batches` others, whose median is `usual`."""

    received: int
    usual: int
    batches: int


class Kinds:
    """What kind of day a day is: worked, of a weekend, or of a holiday, which is a longer time of rest."""

    def __init__(self, calendar: WorkCalendar) -> None:
        self._calendar = calendar

    def of(self, day: date) -> str:
        """`work`, `weekend` or `holiday`."""
        if self._calendar.works(day):
            return "work"
        return "holiday" if sum(1 for _ in self._rest(day)) > 2 else "weekend"

    def after(self, day: date) -> tuple[str, bool]:
        """The kind of a day, and whether the day before was worked: what is delivered the next morning follows that."""
        return self.of(day), self._calendar.works(day - timedelta(days=1))

    def _rest(self, day: date) -> Sequence[date]:
        """The days of rest around a day of rest, no more than two to each side."""
        found = [day]
        for step in (timedelta(days=-1), timedelta(days=1)):
            for times in (1, 2):
                if self._calendar.works(day + step * times):
                    break
                found.append(day + step * times)
        return found


def of_today(rows: int, history: Iterable[tuple[datetime, int]], city: CityForm, missed: int = 0) -> Unusual | None:
    """Judge a delivery that is being admitted. `history`: when those before were, and their rows, newest first."""
    zone = ZoneInfo(city.timezone)
    before = [Volume(at.astimezone(zone).date(), received) for at, received in history]
    calendar = WorkCalendar(city.workCalendar) if city.workCalendar else None
    return unusual(Volume(now().astimezone(zone).date(), rows), before, calendar, missed)


def unusual(
    received: Volume, history: Sequence[Volume], calendar: WorkCalendar | None, missed: int = 0
) -> Unusual | None:
    """Compare a delivery with those before, newest first; None if it is usual or too few are known.

    `missed`: deliveries that failed since, whose rows this one may bring as well.
    """
    if len(history) < BATCHES:
        return None
    together = history[:HISTORY]
    kinds = Kinds(calendar) if calendar and _by_the_day(together) else None
    if kinds is None:
        return _away(received.rows, together, together, missed)
    if not _varies(together, kinds):
        found = _away(received.rows, together, together, missed)
        return None if found and _of_its_season(received, history, together) else found
    worked = kinds.of(received.day) == "work"
    for kind in (kinds.after, kinds.of):
        alike = [one for one in history if kind(one.day) == kind(received.day)]
        recent = alike[:HISTORY]
        if len(recent) >= BATCHES:
            found = _away(received.rows, recent, together, missed)
            if found is None or _of_its_season(received, alike, recent):
                return None
            return None if kinds.of(received.day) == "holiday" and _quieter(received, alike, found) else found
    return _among_others(received, [one for one in history if (kinds.of(one.day) == "work") is not worked], worked)


def _among_others(received: Volume, others: Sequence[Volume], worked: bool) -> Unusual | None:
    """Too few days of its kind are known: a day of rest is told if it has more than worked ones, and these if they have
    less than days of rest."""
    recent = others[:HISTORY]
    found = _away(received.rows, recent, recent, 0) if len(recent) >= BATCHES else None
    return None if found and worked == (received.rows > found.usual) else found


def _varies(history: Sequence[Volume], kinds: Kinds) -> bool:
    """Whether days of one kind have other volumes than those of another, or not enough are known to deny it."""
    for kind in (kinds.after, kinds.of):
        groups: dict[object, list[int]] = {}
        for one in history:
            groups.setdefault(kind(one.day), []).append(one.rows)
        middles = [median(rows) for rows in groups.values() if len(rows) > 1]
        if len(middles) > 1 and max(middles) - min(middles) > max(LEAST * max(middles), ENOUGH):
            return True
    return len(middles) < 2


def _quieter(received: Volume, alike: Sequence[Volume], found: Unusual) -> bool:
    """The Spring Festival is quieter than a long weekend. Nothing at all is told, unless days of rest had nothing."""
    return received.rows < found.usual and (received.rows > 0 or any(one.rows == 0 for one in alike))


def _by_the_day(history: Sequence[Volume]) -> bool:
    days = sorted({one.day for one in history})
    gaps = [(later - earlier).days for earlier, later in pairwise(days)]
    return len(days) >= BATCHES and median(gaps) <= OFTEN


def _of_its_season(received: Volume, alike: Sequence[Volume], recent: Sequence[Volume]) -> bool:
    """Whether days of its kind rose or fell as much in the same weeks of last year, against the weeks before them. A
    source that has grown since is held against its own growth."""
    then = [one for one in alike if abs(one.day - (received.day - YEAR)) <= SEASON]
    before = [one for one in alike if recent[-1].day - YEAR <= one.day < received.day - YEAR]
    level = median(one.rows for one in before) if len(before) >= BATCHES else 0
    if len(then) < BATCHES or not level:
        return False
    grown = median(one.rows for one in recent) / level
    expected = [Volume(one.day, round(one.rows * grown)) for one in then]
    return _away(received.rows, expected, expected, 0) is None


def _away(rows: int, alike: Sequence[Volume], together: Sequence[Volume], missed: int) -> Unusual | None:
    middle = median(one.rows for one in alike)
    spread = NORMAL * median(abs(one.rows - middle) for one in alike)
    owed = missed * max(middle, median(one.rows for one in together))  # a day of work may be told on a day of rest
    away = max(middle - rows, rows - middle - owed)
    return Unusual(rows, round(middle), len(alike)) if away > max(SPREAD * spread, LEAST * middle, ENOUGH) else None
