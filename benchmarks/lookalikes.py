"""Who of a city can be taken for whom: twins, namesakes, and people with one telephone.

Read off the truth of the simulator, never off a delivery. How rows about them are linked belongs to `linkage`.
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable

from simulator.person import Person
from simulator.population import PARENTS_OF

TWINS, NEIGHBOURS, CONTEMPORARIES, ONE_TELEPHONE = (
    "twins",
    "namesakes in one village",
    "namesakes of one town and birth year",
    "one telephone",
)
SHARED: dict[str, Callable[[Person], Hashable]] = {
    TWINS: lambda p: (p.household, p.birth) if p.relation in PARENTS_OF else None,
    NEIGHBOURS: lambda p: (p.name, p.division),
    CONTEMPORARIES: lambda p: (p.name, p.sex, p.birth.year, p.division[:9]),
    ONE_TELEPHONE: lambda p: p.phone,
}
"""What the people of a group share; None where somebody cannot belong to it. Only children, their brothers and sisters
and a parent have one telephone (`simulator.population`)."""


def lookalikes(people: Iterable[Person]) -> dict[str, dict[str, frozenset[str]]]:
    """Group -> identity number of each of its people -> the numbers of all they can be taken for, their own among
    them."""
    sharing: dict[str, dict[Hashable, list[str]]] = {group: defaultdict(list) for group in SHARED}
    for person in people:
        for group, shared in SHARED.items():
            what = shared(person)
            if what is not None:
                sharing[group][what].append(person.id_number)
    found: dict[str, dict[str, frozenset[str]]] = {}
    for group, cliques in sharing.items():
        together = [frozenset(numbers) for numbers in cliques.values() if len(numbers) > 1]
        found[group] = {number: numbers for numbers in together for number in numbers}
    return found
