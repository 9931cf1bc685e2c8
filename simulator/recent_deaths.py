"""Who died in the days before day 0: their rows still stand in the household table, marked as cancelled.

What a death does to a household is in `life`; deaths of later days belong to `day`.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

from simulator import life
from simulator.chance import Dice
from simulator.department import DAYS_KEPT
from simulator.households import Household
from simulator.person import DAY_ZERO
from simulator.population import office_second

SHARE = 0.0005
"""Of the people: as many as die in the days for which a row is kept."""
MOST_DAYS_TO_REPORT = 2
"""Most days from a death to the day on which the family reports it."""


class RecentDeaths:
    """Deaths spread evenly over the stream of households, with dice of their own: they change nothing else."""

    def __init__(self, seed: int, persons: int) -> None:
        self._dice = Dice(seed, "recent deaths")
        self._every = persons / max(round(persons * SHARE), 1)
        self._left = round(persons * SHARE)
        self._seen, self._due = 0, self._dice.random() * self._every
        self.dead = 0

    def visit(self, household: Household) -> None:
        """Let somebody of the next household die, if a death is due and anybody in it is likely to."""
        self._seen += len(household)
        if not self._left or self._seen < self._due:
            return
        for person in household:
            if person.age(DAY_ZERO) > 0 and life.is_taken_by_death(self._dice, person, DAY_ZERO):
                self._end(household, household.index(person))
                return

    def _end(self, household: Household, place: int) -> None:
        cancelled = DAY_ZERO - timedelta(days=self._dice.between(1, DAYS_KEPT - 1))
        before = [(one.relation, one.marital) for one in household]
        died = cancelled - timedelta(days=self._dice.between(0, MOST_DAYS_TO_REPORT))
        life.remove(household[place], household, "dead", died)
        moment = _moment(self._dice, cancelled)
        for number, person in enumerate(household):
            if number == place or (person.relation, person.marital) != before[number]:
                person.updated = moment
        self._left, self.dead = self._left - 1, self.dead + 1
        self._due += self._every


def _moment(dice: Dice, day: date) -> datetime:
    return datetime(day.year, day.month, day.day) + timedelta(seconds=office_second(dice))
