"""What happens to a household: birth, death, moving, leaving, a new name or diploma. People in, changed people out.

Which household it happens to on which day, and what the databases make of it, belongs to `tick`.
"""

from __future__ import annotations

from datetime import date

from simulator import divisions, names
from simulator.chance import Dice
from simulator.divisions import Village
from simulator.households import (
    CHILDREN,
    DAUGHTER,
    DAUGHTER_IN_LAW,
    DAUGHTERS_CHILDREN,
    HEAD,
    HEAD_ALONE,
    HEADS_PARENTS,
    SON,
    SON_IN_LAW,
    SONS_CHILDREN,
    SPOUSE,
    Household,
    member,
)
from simulator.person import FEMALE, MALE, MARRIED, NEVER_MARRIED, WIDOWED, Person

OTHER_RELATIVE = "97"
_HEADS = (HEAD, HEAD_ALONE)
_COUPLES = {
    HEAD: SPOUSE,
    SPOUSE: HEAD,
    SON: DAUGHTER_IN_LAW,
    DAUGHTER_IN_LAW: SON,
    DAUGHTER: SON_IN_LAW,
    SON_IN_LAW: DAUGHTER,
}
_CHILDREN_OF_COUPLE = {
    HEAD: CHILDREN,
    SPOUSE: CHILDREN,
    DAUGHTER_IN_LAW: SONS_CHILDREN,
    DAUGHTER: DAUGHTERS_CHILDREN,
}
_PARENTS_IN_LAW = {FEMALE: {"51": "53", "52": "54"}, MALE: {"51": "55", "52": "56"}}
_GRANDPARENTS = {"51": "61", "52": "62"}
# Who takes over when the head is gone: the spouse, else a child, its spouse, a grandchild, a parent, anybody.
_SUCCESSION = (SPOUSE, SON, DAUGHTER, DAUGHTER_IN_LAW, SON_IN_LAW, "41", "43", "42", "44", "51", "52")
# The next higher education and the age at which it can be reached.
_LADDER = {"80": ("70", 18), "70": ("60", 18), "60": ("30", 21), "40": ("30", 21), "30": ("20", 22), "20": ("10", 25)}
_OLDEST_LEARNER = 55


def newborn(dice: Dice, mother: Person, household: Household, born: date) -> Person | None:
    """The child of a mother who lives with her husband; None when she is no such person."""
    relations = _CHILDREN_OF_COUPLE.get(mother.relation)
    if mother.sex != FEMALE or relations is None or not 20 <= mother.age(born) <= 43:
        return None
    father = partner(mother, household)
    if father is None or father.sex != MALE:
        return None
    sex = MALE if dice.chance(0.51) else FEMALE
    name = names.child_name(dice, father.name, father.ethnicity, sex, born.year, "")
    child = member(dice, sex, born, relations[sex], NEVER_MARRIED, name, father.ethnicity)
    child.household, child.division, child.address = mother.household, mother.division, mother.address
    child.phone = mother.phone or father.phone
    return child


def partner(person: Person, household: Household) -> Person | None:
    """The person's spouse, if they live together."""
    wanted = _COUPLES.get(person.relation)
    if person.marital not in MARRIED or wanted is None:
        return None
    return next((other for other in household if other.relation == wanted and other.marital in MARRIED), None)


def is_taken_by_death(dice: Dice, person: Person, on: date) -> bool:
    """Whether chance lets this person, of all those considered, be the one who dies: the old far likelier."""
    return dice.chance(min(1.0, 2.0 ** ((person.age(on) - 92) / 8)))


def remove(person: Person, household: Household, status: str, on: date) -> None:
    """Take somebody out of the household (``status`` 'dead' or 'left'); a spouse is widowed, a new head steps in."""
    widowed = partner(person, household) if status == "dead" else None
    if widowed is not None:
        widowed.marital = WIDOWED
    person.status, person.ended = status, on
    remaining = [other for other in household if other is not person]
    if person.relation in _HEADS and remaining:
        _succeed(remaining)
    elif len(remaining) == 1:
        remaining[0].relation = HEAD_ALONE


def move(dice: Dice, household: Household, village: Village) -> None:
    """The whole household registers in another village."""
    home = divisions.address(dice, village)
    for person in household:
        person.division, person.address = village.code, home


def may_set_up_house(person: Person, on: date) -> bool:
    """Whether this is a grown, unmarried child still in the parents' household."""
    return person.relation in (SON, DAUGHTER) and person.marital == NEVER_MARRIED and person.age(on) >= 20


def set_up_house(dice: Dice, person: Person, household: Household, village: Village, number: str) -> None:
    """A grown child leaves the parents' register for one of its own."""
    person.household, person.relation = number, HEAD_ALONE
    move(dice, [person], village)
    remaining = [other for other in household if other is not person]
    if len(remaining) == 1:
        remaining[0].relation = HEAD_ALONE


def take_new_name(dice: Dice, person: Person) -> bool:
    """A changed given name, the surname kept; False for names without a Chinese surname."""
    if "·" in person.name:
        return False
    former = person.name
    while person.name == former:
        person.name = names.surname_of(former) + names.given_name(dice, person.sex, person.birth.year, "")
    return True


def learn(person: Person, on: date) -> bool:
    """The next higher education; False for those too young, too old or at the top."""
    higher, youngest = _LADDER.get(person.education or "", ("", _OLDEST_LEARNER + 1))
    if not youngest <= person.age(on) <= _OLDEST_LEARNER:
        return False
    person.education = higher
    return True


def _succeed(household: Household) -> None:
    """Make somebody the head and put everybody else in relation to the new head."""
    heir = min(household, key=_claim)
    former = heir.relation
    relations = {person.rybh: _relation_to(heir, former, person) for person in household if person is not heir}
    for person in household:
        if person is not heir:
            person.relation = relations[person.rybh]
    heir.relation = HEAD if len(household) > 1 else HEAD_ALONE


def _claim(person: Person) -> tuple[int, bool, date]:
    """Sorts household members by their claim to become the head: rank, married first, elder first."""
    rank = _SUCCESSION.index(person.relation) if person.relation in _SUCCESSION else len(_SUCCESSION)
    return rank, person.marital not in MARRIED, person.birth


def _relation_to(heir: Person, former: str, person: Person) -> str:
    """The relation of a person to a new head whose relation to the old one was ``former``."""
    if former == SPOUSE:
        return _PARENTS_IN_LAW[heir.sex].get(person.relation, _known_by_spouse(person.relation))
    if former in (SON, DAUGHTER):
        return _relation_to_child(heir, person)
    return OTHER_RELATIVE


def _known_by_spouse(relation: str) -> str:
    descendants = {SON, DAUGHTER, SON_IN_LAW, DAUGHTER_IN_LAW, *SONS_CHILDREN.values(), *DAUGHTERS_CHILDREN.values()}
    return relation if relation in descendants else OTHER_RELATIVE


def _relation_to_child(heir: Person, person: Person) -> str:
    """The relation of a person to a new head who was the old head's son or daughter."""
    relation = person.relation
    if relation in (SON, DAUGHTER):
        elder = person.birth < heir.birth
        return ("71" if elder else "73") if person.sex == MALE else ("75" if elder else "77")
    heirs_spouse = DAUGHTER_IN_LAW if heir.sex == MALE else SON_IN_LAW
    if relation == heirs_spouse and heir.marital != NEVER_MARRIED:
        return SPOUSE
    heirs_children = SONS_CHILDREN if heir.sex == MALE else DAUGHTERS_CHILDREN
    if relation in heirs_children.values() and heir.marital != NEVER_MARRIED:
        return CHILDREN[person.sex]
    if relation in HEADS_PARENTS.values():
        return _GRANDPARENTS[relation]
    return OTHER_RELATIVE
