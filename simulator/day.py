"""One simulated day in memory: which households life, clerks and late papers reach, and what becomes of their rows.

What an event does to people is in `life`, writing the day down in `tick`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from copy import copy as duplicate
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from simulator import divisions, life
from simulator.chance import Dice
from simulator.defects import Defect
from simulator.department import DAYS_KEPT, Row, row_of
from simulator.dirt import DirtRates, Planted, plant, plant_disputed, quotas
from simulator.households import Household
from simulator.loading import State
from simulator.person import PERSON_COLUMNS, Person, values_of
from simulator.population import household_number, office_second, record_number
from simulator.recent_deaths import MOST_DAYS_TO_REPORT
from simulator.records import Records

BIRTH, DEATH, MOVE, CORRECTION = "birth", "death", "move", "correction"
DEPARTURE, LATE, REPAIR, DIRT = "departure", "late", "repair", "dirt"
"""Kinds of daily events. Late ones are births and moves that the table shows only days after their ``GXSJ``."""

# Events a day per living person. A move concerns a whole household, so about 0.17 % of the rows are touched.
DAILY = {
    REPAIR: 0.0001,
    DEATH: 0.0001,
    DEPARTURE: 0.0001,
    BIRTH: 0.0001,
    MOVE: 0.00025,
    CORRECTION: 0.0004,
    LATE: 0.0001,
    DIRT: 0.0001,
}
FEWEST = 2
"""Even a hamlet sees this many events of each kind a day."""
_LATEST = 9
"""Most days by which a late row is late."""

_MOST_DRAWS = 5_000
"""Draws of a hundred people after which a day ends, however little has happened: a safeguard for tiny, dirty cities."""

Act = Callable[[Person, Household, date], bool]
"""Does something to a person's household, registered on the day given; False when it does not suit them."""


@dataclass(frozen=True, slots=True)
class Event:
    """A life event: what changed for whom. ``registered`` before ``day`` means the department delivered it late."""

    day: date
    registered: date
    kind: str
    rybh: str
    changes: dict[str, dict[str, list[str | None]]]


@dataclass(frozen=True, slots=True)
class DaySummary:
    """What a day brought: number of events by kind, and how many people's rows were changed, added or removed."""

    day: date
    events: dict[str, int]
    rows: int


class Day:
    """A day being lived: changes gather here in memory until all of them are written at once."""

    def __init__(self, records: Records, state: State) -> None:
        self.records = records
        self.today = state.day + timedelta(days=1)
        self.state = replace(state, day=self.today)
        self.dice = Dice(state.seed, "day", self.today.isoformat())
        self.changed: dict[str, Person] = {}
        self.dirty_rows: dict[str, list[Row]] = {}
        self.events: list[Event] = []
        self.planted: list[Planted] = []
        self.repaired: list[str] = []
        self.dropped = records.cancelled_on(self.today - timedelta(days=DAYS_KEPT))
        self._counts: Counter[str] = Counter()
        self._newborn: list[Person] = []
        self._busy: set[str] = set()
        self._candidates = self._draw()

    def live(self) -> DaySummary:
        """Let the day happen (in memory)."""
        self._repair(self._volume(REPAIR))
        self._let(DEATH, self._death)
        self._let(DEPARTURE, self._departure)
        self._let(BIRTH, self._birth)
        self._let(MOVE, self._move)
        self._let(CORRECTION, self._correction)
        self._let(LATE, self._late)
        self._plant_dirt()
        self._dispute_deaths()
        gone = sum(person.status != "living" for person in self.changed.values())
        self.state = replace(self.state, living=self.state.living - gone)
        return DaySummary(self.today, {kind: self._counts[kind] for kind in DAILY}, len(self.changed))

    def rows(self) -> list[Row]:
        """The rows the department's table shows from now on for everybody who changed; some are marked as cancelled."""
        return [row for person in self.changed.values() for row in self.dirty_rows.get(person.rybh) or [row_of(person)]]

    def _volume(self, kind: str) -> int:
        return max(FEWEST, round(DAILY[kind] * self.state.living))

    def _draw(self) -> Iterator[tuple[Person, Household]]:
        """People drawn at random, with their households, none of which was touched today or carries a defect.

        Rows with a defect change only when the department repairs them: so the list of what is planted stays exact.
        """
        for _ in range(_MOST_DRAWS):
            drawn = [record_number(self.dice.below(self.state.next_record)) for _ in range(100)]
            homes = self.records.households_of(drawn)
            for rybh in drawn:
                household = homes.get(rybh)
                if household is None or household[0].household in self._busy:
                    continue
                if not any(person.defect for person in household):
                    yield next(person for person in household if person.rybh == rybh), household

    def _let(self, kind: str, act: Act) -> None:
        """Let something happen to as many people as the day's volume says, if so many suitable ones can be found."""
        wanted = self._volume(kind)
        patience = 2_000 + 200 * wanted
        for (person, household), _ in zip(self._candidates, range(patience), strict=False):
            before = {member.rybh: duplicate(member) for member in household}
            registered = self.today - timedelta(days=self.dice.between(2, _LATEST) if kind == LATE else 0)
            if act(person, household, registered):
                self._counts[kind] += 1
                self._note(kind, registered, person, household, before)
                if self._counts[kind] == wanted:
                    break

    def _note(
        self, kind: str, registered: date, subject: Person, household: Household, before: dict[str, Person]
    ) -> None:
        """Record an event: who changed in what, and a new update time for each of them."""
        updated = self._moment(registered)
        changes: dict[str, dict[str, list[str | None]]] = {}
        for person in household:
            changed = _difference(before.get(person.rybh), person)
            if changed:
                changes[person.rybh] = changed
                person.updated = updated
                self.changed[person.rybh] = person
            self._busy.add(person.household)
        self._busy.update(member.household for member in before.values())
        if len(household) > len(before):
            kind, subject = BIRTH, household[-1]
        elif kind == LATE:
            kind = MOVE
        self.events.append(Event(self.today, registered, kind, subject.rybh, changes))

    def _death(self, person: Person, household: Household, registered: date) -> bool:
        if not life.is_taken_by_death(self.dice, person, self.today):
            return False
        died = self.today - timedelta(days=self.dice.between(0, MOST_DAYS_TO_REPORT))
        if died < person.birth:
            return False
        life.remove(person, household, "dead", died)
        return True

    def _departure(self, person: Person, household: Household, registered: date) -> bool:
        """A grown child leaves the city, or a small household altogether."""
        if life.may_set_up_house(person, self.today):
            life.remove(person, household, "left", self.today)
            return True
        if len(household) > 2 or person.age(self.today) > 60:
            return False
        for member in household:
            member.status, member.ended = "left", self.today
        return True

    def _birth(self, person: Person, household: Household, registered: date) -> bool:
        born = registered - timedelta(days=self.dice.between(2, 28))
        child = life.newborn(self.dice, person, household, born)
        if child is None:
            return False
        number = self.state.next_record
        self.state = replace(self.state, next_record=number + 1, living=self.state.living + 1)
        child.rybh = record_number(number)
        child.id_number = self.records.new_identity(child.division[:6], born, child.sex, self._newborn)
        self._newborn.append(child)
        household.append(child)
        return True

    def _move(self, person: Person, household: Household, registered: date) -> bool:
        village = divisions.random_village(self.dice)
        if life.may_set_up_house(person, self.today) and self.dice.chance(0.7):
            number = self.state.next_household
            self.state = replace(self.state, next_household=number + 1)
            life.set_up_house(self.dice, person, household, village, household_number(number))
        else:
            life.move(self.dice, household, village)
        return True

    def _correction(self, person: Person, household: Household, registered: date) -> bool:
        if self.dice.chance(0.6) and life.learn(person, self.today):
            return True
        return life.take_new_name(self.dice, person)

    def _late(self, person: Person, household: Household, registered: date) -> bool:
        """A birth or a move registered days ago that the table shows only now, by turns."""
        # An update must not be older than the one the table already shows.
        if max(member.updated for member in household).date() >= registered:
            return False
        act = self._move if self._counts[LATE] % 2 else self._birth
        return act(person, household, registered)

    def _repair(self, wanted: int) -> None:
        """The department corrects rows at the source: they become clean, the truth does not change."""
        for person in self.records.dirty_people(self.today, wanted):
            person.defect = None
            person.updated = self._moment(self.today)
            self.changed[person.rybh] = person
            self.repaired.append(person.rybh)
            self._busy.add(person.household)
            self._counts[REPAIR] += 1

    def _plant_dirt(self) -> None:
        """Clerks make new mistakes in rows they touch."""
        defects = _weighted(self.state.rates)
        for _ in range(self._volume(DIRT) if defects else 0):
            defect = self.dice.pick(defects)
            for (person, _household), _ in zip(self._candidates, range(2_000), strict=False):
                changed = duplicate(person)
                changed.updated = self._moment(self.today)
                result = plant(defect, changed, self.today, self.dice)
                if result is not None:
                    self.dirty_rows[changed.rybh], planted = result
                    self.planted.append(planted)
                    self.changed[changed.rybh] = changed
                    self._busy.add(changed.household)
                    self._counts[DIRT] += 1
                    break

    def _dispute_deaths(self) -> None:
        for person in self.changed.values():
            if person.status == "dead" and (result := plant_disputed(person, self.today, self.state.rates, self.dice)):
                self.dirty_rows[person.rybh], planted = result
                self.planted.append(planted)

    def _moment(self, day: date) -> datetime:
        return datetime(day.year, day.month, day.day) + timedelta(seconds=office_second(self.dice))


def _difference(before: Person | None, after: Person) -> dict[str, list[str | None]]:
    """The columns in which somebody changed, with the values before and after; the update time does not count."""
    old = (None,) * len(PERSON_COLUMNS) if before is None else values_of(before)
    return {
        column: [None if was is None else str(was), None if now is None else str(now)]
        for column, was, now in zip(PERSON_COLUMNS, old, values_of(after), strict=True)
        if was != now and column != "updated"
    }


def _weighted(rates: DirtRates) -> tuple[Defect, ...]:
    """A deck of defects in the proportions of the rates; empty when there is to be no dirt."""
    shares = quotas(rates, 100_000)
    return tuple(defect for defect, share in shares.items() for _ in range(share))
