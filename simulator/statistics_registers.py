"""What the household office counts itself: the daily report of registered people by town.

It is counted in the office's own system, so it says what the register would say if no row of it were spoiled: libraries
are held against it. A report is never written again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date

from simulator.chance import Dice
from simulator.day import BIRTH
from simulator.defects import CODE, CONSISTENCY, FORMAT, RANGE
from simulator.department import DATABASE, SCHEMA
from simulator.mistakes import Mistake, changed, code_mistakes, date_mistakes, missing
from simulator.person import MALE, Person
from simulator.register_rows import compact, moment, table
from simulator.registers import Change, Everybody, News, Register, Row
from simulator.special_mistakes import repeated

TOWN = 9
"""Digits of a town's code."""


def registers() -> list[Register]:
    """The register of this module, made anew."""
    return [PopulationReport()]


@dataclass(slots=True)
class _Town:
    """What is counted of a town: its living registered people at the end of a day, and what the day brought."""

    households: set[str] = field(default_factory=set)
    males: int = 0
    females: int = 0
    births: int = 0
    deaths: int = 0
    departures: int = 0

    def add(self, household: str, sex: str) -> None:
        self.households.add(household)
        if sex == MALE:
            self.males += 1
        else:
            self.females += 1


class PopulationReport:
    """One row for each town and day."""

    place = table(DATABASE, SCHEMA, "T_HJRK_RB", "RBBH TJRQ XZQH HS RKS NAN NV CSRS SWRS QCRS", "GXSJ")
    key = 0
    mistakes: tuple[Mistake, ...] = (
        *date_mistakes(1),
        *code_mistakes(2, "341502999"),
        changed("town_short", CODE, 2, lambda v, d: v[:7]),
        missing(4),
        changed("persons_in_words", FORMAT, 4, lambda v, d: f"{v}人"),
        changed("persons_negative", RANGE, 4, lambda v, d: f"-{v}" if v != "0" else None, CONSISTENCY),
        changed("does_not_add_up", CONSISTENCY, 5, lambda v, d: str(int(v) + d.between(1, 9))),
        missing(3),
        repeated(0),
    )

    def initial(self, city: Everybody) -> Iterator[Row]:
        """The report of day 0, on which nothing happened yet."""
        living = ((one.division, one.household, one.sex) for one in city.people if one.status == "living")
        yield from _rows(_counted(living), city.today, city.dice)

    def day(self, news: News) -> Change:
        """The report of a day: everybody as they are after it."""
        towns = _counted(_living(news))
        for person in news.changed(BIRTH):
            _town_of(towns, person).births += 1
        for person in news.day.changed.values():
            if person.status == "dead":
                _town_of(towns, person).deaths += 1
            elif person.status == "left":
                _town_of(towns, person).departures += 1
        return Change(list(_rows(towns, news.today, news.dice)))


def _living(news: News) -> Iterator[tuple[str, str, str]]:
    """Division, household and sex of everybody who is alive and registered after the day."""
    found = news.truth.execute("SELECT rybh, division, household, sex FROM truth.person WHERE status = 'living'")
    changed = news.day.changed
    yield from ((division, household, sex) for rybh, division, household, sex in found if rybh not in changed)
    yield from ((one.division, one.household, one.sex) for one in changed.values() if one.status == "living")


def _counted(living: Iterable[tuple[str, str, str]]) -> dict[str, _Town]:
    towns: dict[str, _Town] = {}
    for division, household, sex in living:
        towns.setdefault(division[:TOWN], _Town()).add(household, sex)
    return towns


def _town_of(towns: dict[str, _Town], person: Person) -> _Town:
    return towns.setdefault(person.division[:TOWN], _Town())


def _rows(towns: dict[str, _Town], day: date, dice: Dice) -> Iterator[Row]:
    for code, town in sorted(towns.items()):
        persons = town.males + town.females
        counts = (len(town.households), persons, town.males, town.females, town.births, town.deaths, town.departures)
        yield [f"RB{compact(day)}{code}", compact(day), code, *map(str, counts), moment(dice, day)]
