"""Who is whose kin in a household of day 0, as it was composed: the truth about relations that registers tell in codes.

Belongs here: spouses and parents, and what follows from them. Whose code says what belongs to `households`.
"""

from __future__ import annotations

from collections.abc import Iterator

from simulator.households import HEAD, HEADS_PARENTS, Household
from simulator.person import MARRIED, Person
from simulator.population import PARENTS_OF

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


def _spouse(person: Person, household: Household) -> Person | None:
    if person.marital not in MARRIED:
        return None
    wanted = {man: woman for one in COUPLES for man, woman in (one, one[::-1])}.get(person.relation)
    return next((one for one in household if one.relation == wanted and one.marital in MARRIED), None)


def _parents(person: Person, household: Household) -> list[Person]:
    wanted = PARENTS_OF.get(person.relation, tuple(HEADS_PARENTS.values()) if person.relation == HEAD else ())
    return [one for one in household if one.relation in wanted]
