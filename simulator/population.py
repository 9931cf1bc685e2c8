"""The whole city of day 0 as a stream of households, village by village, in memory that does not grow with its size.

Composition of a household is in `households`; what a department makes of it is in `department` and `dirt`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta

from simulator import divisions
from simulator.chance import Dice
from simulator.divisions import Village
from simulator.households import (
    DAUGHTER,
    DAUGHTER_IN_LAW,
    DAUGHTERS_CHILDREN,
    HEAD,
    HEAD_ALONE,
    SON,
    SON_IN_LAW,
    SONS_CHILDREN,
    SPOUSE,
    Household,
    compose,
)
from simulator.identity import Register, first_registration
from simulator.names import HAN
from simulator.person import DAY_ZERO, FEMALE, Person, own_phone, remark

SHARE_NAMESAKES = 0.04
"""Share of people living alone who bear the name of a neighbour, on top of those who do by chance."""
SAME_YEAR_NAMESAKES = 0.05
"""Share of wives who bear the name of a woman of the same town born in the same year, if there is one: with those who
do by chance more than 1 % of the people share name, sex, birth year and town with another."""
OF_AGE = 16
"""Younger people share the telephone of a parent."""
_WIVES = (SPOUSE, DAUGHTER_IN_LAW)
PARENTS_OF = {
    **dict.fromkeys((SON, DAUGHTER), (HEAD, SPOUSE)),
    **dict.fromkeys(SONS_CHILDREN.values(), (SON, DAUGHTER_IN_LAW)),
    **dict.fromkeys(DAUGHTERS_CHILDREN.values(), (SON_IN_LAW, DAUGHTER)),
}
RECORDS_BEGIN = datetime(2004, 3, 1)
"""The day the department moved to its present system: no record was updated before."""


def record_number(index: int) -> str:
    """The department's own number of its ``index``-th record, for example RY0000000042."""
    return f"RY{index:010d}"


def household_number(index: int) -> str:
    """The nine-digit number of the ``index``-th household register."""
    return f"{index + 1:09d}"


def households(seed: int, persons: int, among: Sequence[Village] = ()) -> Iterator[Household]:
    """All households of day 0, exactly ``persons`` people, in order of village code.

    They live in the villages ``among`` which they are to be, in all of the city if none are named. A small city has
    some thirty people in each; ``divisions.crowded`` names as few as they really fill.

    Every village has dice of its own. What runs through from village to village are only the record, household and
    identity numbers, and the count of people, so that the last household ends exactly at ``persons``.
    """
    register = Register()
    weight_so_far, made, household_index = 0.0, 0, 0
    chosen = among or divisions.villages()
    total_weight = sum(village.weight for village in chosen)
    town = _Town(seed, "")
    for village in chosen:
        weight_so_far += village.weight
        target = round(persons * weight_so_far / total_weight)
        dice = Dice(seed, "village", village.code)
        town = town if town.code == village.code[:9] else _Town(seed, village.code[:9])
        names_here: dict[str, list[str]] = {"1": [], "2": []}
        while made < target:
            # Cutting from the end is safe: heads come first and parents before their children.
            people = compose(dice)[: persons - made]
            _settle(dice, people, village, household_number(household_index), register)
            _share_names(dice, people[0], names_here)
            town.share_names(people)
            for person in people:
                person.rybh = record_number(made)
                made += 1
            household_index += 1
            yield people


def _settle(dice: Dice, people: Household, village: Village, household: str, register: Register) -> None:
    """Give a household its place, numbers, telephones and dates of last update."""
    home = divisions.address(dice, village)
    if len(people) == 1 and people[0].relation == HEAD:
        people[0].relation = HEAD_ALONE
    for person in people:
        person.household = household
        person.division = village.code
        person.address = home
        prefix = first_registration(dice, village.county, person.birth)
        person.id_number = register.give(prefix, person.birth, person.sex)
        age = person.age(DAY_ZERO)
        # Parents come before their children in a household, so they have their number already.
        person.phone = own_phone(dice, age) if age >= OF_AGE else _parents_phone(person, people)
        person.remarks = remark(dice)
        person.updated = _last_update(dice, person.birth)


def _parents_phone(child: Person, people: Household) -> str | None:
    parents = PARENTS_OF[child.relation]
    return next((person.phone for person in people if person.phone and person.relation in parents), None)


def _share_names(dice: Dice, head: Person, names_here: dict[str, list[str]]) -> None:
    """Villages have namesakes: now and then a head bears the name of another head of the same village.

    Only people living alone, whose name no relative's name depends on.
    """
    known = names_here[head.sex]
    if known and head.relation == HEAD_ALONE and head.ethnicity == HAN and dice.chance(SHARE_NAMESAKES):
        head.name = dice.pick(known)
    if len(known) < 200 and "·" not in head.name:
        known.append(head.name)


class _Town:
    """Namesakes of one town, with dice of their own: they change nothing else of the city."""

    def __init__(self, seed: int, code: str) -> None:
        self.code = code
        self._dice = Dice(seed, "namesakes", code)
        self._women: dict[int, list[str]] = {}

    def share_names(self, people: Household) -> None:
        """Give some wives the name of a woman of the same age. No relative's name depends on a wife's."""
        for person in people:
            if person.sex != FEMALE or person.relation not in _WIVES or person.ethnicity != HAN:
                continue
            known = self._women.setdefault(person.birth.year, [])
            if self._dice.chance(SAME_YEAR_NAMESAKES) and known:
                person.name = self._dice.pick(known)
            else:
                known.append(person.name)


def _last_update(dice: Dice, birth: date) -> datetime:
    """A moment in office hours since the records begin or the birth, likelier the later it is."""
    begin = max(RECORDS_BEGIN, datetime(birth.year, birth.month, birth.day))
    days = (datetime(DAY_ZERO.year, DAY_ZERO.month, DAY_ZERO.day) - begin).days
    return begin + timedelta(days=int(days * dice.random() ** 0.6), seconds=office_second(dice))


def office_second(dice: Dice) -> int:
    """A second of the day within office hours, 08:00:00 to 17:29:59."""
    return 8 * 3600 + dice.below(34_200)
