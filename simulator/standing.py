"""Where everybody stands on the day that the city has reached: registered, away, come in, dead or gone, and who is
married, told from the truth alone.

Whatever a department delivers, rightly or wrongly, is no part of this: clean records and people as they are. What
platforms make of it belongs to them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from simulator.city import DemoCity
from simulator.person import DAY_ZERO, Person

AT_HOME, AWAY, CAME_IN, GONE, DEAD = "1", "2", "3", "4", "5"
"""Codes of residence status: registered and here, registered and elsewhere in the city, from elsewhere, gone, dead."""
FLOATING, CREMATIONS, MARRIAGES = "hzgl.T_LDRK_DJ", "hydj.T_HHDJ", "hydj.T_HYDJ"
MARRIED, WIDOWED = "2", "3"
"""First digits of the codes of marital status."""
COUNTY, TOWN = 6, 9
"""Digits of a county and of a town in a code of a division."""

Record = Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Standing:
    """One human being. `person` is None for who was never in the household register, `lodging` is the floating
    registration that counts (one in force before one that ended, then the latest)."""

    person: Person | None
    lodging: Record | None
    status: str
    died: date | None
    married: str | None

    @property
    def lives(self) -> str | None:
        """The division in which a living person lives, as far as anybody was told."""
        if self.status in (DEAD, GONE):
            return None
        if self.lodging is not None and self.lodging["DJZT"] == "1":
            return self.lodging["JZXZQH"]
        return None if self.person is None else self.person.division


def standings(city: DemoCity) -> dict[str, Standing]:
    """Everybody the city ever knew as a resident, by identity number."""
    people = {person.id_number: person for person in city.people()}
    lodgings = _lodgings(city)
    burnt = {str(row["SZZJHM"]): row for row in city.records(CREMATIONS)}
    died = {number: _day(row["SWRQ"]) for number, row in burnt.items()}
    died |= {number: one.ended for number, one in people.items() if one.status == "dead" and one.ended}
    wed = _weddings(city)
    found = {}
    for number in people.keys() | lodgings.keys():
        person, lodging = people.get(number), lodgings.get(number)
        dead = number in died
        status = DEAD if dead else _status(person, lodging)
        married = None if person is None else _married(person, wed.get(number), died)
        found[number] = Standing(person, lodging, status, died.get(number), married)
    return found


def _status(person: Person | None, lodging: Record | None) -> str:
    """Of the living. Who left the city is gone, whatever registration of a lodging nobody ended."""
    here = lodging if lodging is not None and lodging["DJZT"] == "1" else None
    if person is None:
        return GONE if here is None else CAME_IN
    if person.status != "living":
        return GONE
    if here is not None and str(here["JZXZQH"])[:COUNTY] != person.division[:COUNTY]:
        return AWAY
    return AT_HOME


def _lodgings(city: DemoCity) -> dict[str, Record]:
    found: dict[str, Record] = {}
    for row in sorted(city.records(FLOATING), key=lambda row: (row["DJZT"] or "", row["DJRQ"] or "")):
        found[str(row["GMSFHM"])] = row
    return found


def _weddings(city: DemoCity) -> dict[str, tuple[date, str]]:
    """The day of the latest wedding of everybody who was married at the registry, and the spouse."""
    found: dict[str, tuple[date, str]] = {}
    for row in sorted(city.records(MARRIAGES), key=lambda row: row["DJRQ"] or ""):
        man, woman, day = str(row["NANZJHM"]), str(row["NVZJHM"]), _day(row["DJRQ"])
        found[man], found[woman] = (day, woman), (day, man)
    return found


def _married(person: Person, wedding: tuple[date, str] | None, died: Mapping[str, date | None]) -> str:
    """The household office learns of a wedding or of the death of a spouse elsewhere from nobody."""
    if wedding is not None and wedding[1] in died:
        return WIDOWED
    if wedding is not None and wedding[0] >= DAY_ZERO:
        return MARRIED
    return person.marital[0]


def _day(text: str | None) -> date:
    return date.fromisoformat(str(text))


def registered_by_town(city: DemoCity) -> Counter[str]:
    """What the household office itself would publish: how many living people stand in its register, by town."""
    return Counter(one.division[:TOWN] for one in city.people() if one.status == "living")


def residents_by_town(city: DemoCity) -> Counter[tuple[str, str]]:
    """How many people there truly are by town and residence status: those from elsewhere where they live, all others
    where they are registered. The dead and the departed of elsewhere stand in no town."""
    found: Counter[tuple[str, str]] = Counter()
    for one in standings(city).values():
        place = one.lives if one.status == CAME_IN else one.person.division if one.person else None
        if place is not None and one.status in (AT_HOME, AWAY, CAME_IN):
            found[place[:TOWN], one.status] += 1
    return found
