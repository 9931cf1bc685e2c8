"""Who is whose kin in a household of day 0, as it was composed: the truth about relations that registers tell in codes.

Belongs here: spouses and parents, what follows from them, and what of it the registers can tell.
Whose code says what belongs to `households`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date

from simulator.households import (
    CHILDREN,
    DAUGHTER_IN_LAW,
    DAUGHTERS_CHILDREN,
    HEAD,
    HEADS_PARENTS,
    SON_IN_LAW,
    SONS_CHILDREN,
    SPOUSE,
    Household,
)
from simulator.person import MARRIED, Person
from simulator.population import PARENTS_OF

GRANDCHILDREN = {*SONS_CHILDREN.values(), *DAUGHTERS_CHILDREN.values()}
COUPLES = (("02", "10"), ("20", "38"), ("28", "30"), ("51", "52"))

Kin = tuple[str, str, str]
"""Identity number, what the other is to this one, identity number of the other."""


def kin(household: Household) -> Iterator[Kin]:
    """Everybody's spouse, parents, children, siblings, grandparents, grandchildren and parents and children in law."""
    spouses = {one.id_number: spouse for one in household if (spouse := _spouse(one, household)) is not None}
    parents = {one.id_number: _parents(one, household) for one in household}
    for one in household:
        number, mine = one.id_number, parents[one.id_number]
        if number in spouses:
            yield number, "spouse", spouses[number].id_number
            for parent in parents[spouses[number].id_number]:
                yield number, "parent_in_law", parent.id_number
                yield parent.id_number, "child_in_law", number
        for parent in mine:
            yield number, "parent", parent.id_number
            yield parent.id_number, "child", number
            for grandparent in parents[parent.id_number]:
                yield number, "grandparent", grandparent.id_number
                yield grandparent.id_number, "grandchild", number
        for other in household:
            if other is not one and {parent.id_number for parent in mine} & {
                parent.id_number for parent in parents[other.id_number]
            }:
                yield number, "sibling", other.id_number


def told(household: Household, weddings: Mapping[frozenset[str], date]) -> Iterator[Kin]:
    """Of `kin` what registers tell with certainty. `weddings` are days of registration by the numbers of both.

    Codes say what members are to the head. So nobody says whose child a grandchild is, nor that a child born before the
    wedding is the spouse's too, or whoever is married to that child.
    """
    people = {one.id_number: one for one in household}
    for one, kind, other in kin(household):
        members = {people[number].relation: people[number] for number in (one, other)}
        if members.keys() & GRANDCHILDREN and HEAD not in members:
            continue
        if SPOUSE in members:
            couple = frozenset(member.id_number for member in household if member.relation in (HEAD, SPOUSE))
            children = [member for code, member in members.items() if code in CHILDREN.values()]
            in_laws = [member for code, member in members.items() if code in (SON_IN_LAW, DAUGHTER_IN_LAW)]
            children += [child for member in in_laws if (child := _spouse(member, household))]
            if any(couple not in weddings or child.birth < weddings[couple] for child in children):
                continue
        yield one, kind, other


def _spouse(person: Person, household: Household) -> Person | None:
    if person.marital not in MARRIED:
        return None
    wanted = {man: woman for one in COUPLES for man, woman in (one, one[::-1])}.get(person.relation)
    return next((one for one in household if one.relation == wanted and one.marital in MARRIED), None)


def _parents(person: Person, household: Household) -> list[Person]:
    wanted = PARENTS_OF.get(person.relation, tuple(HEADS_PARENTS.values()) if person.relation == HEAD else ())
    return [one for one in household if one.relation in wanted]
