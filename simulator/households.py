"""Who lives together: households of invented people with a head, relations, ages that fit and names that follow.

People leave here without number, place or telephone; `population` gives them those.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime

from simulator import names
from simulator.chance import Dice
from simulator.person import DAY_ZERO, DIVORCED, FEMALE, MALE, NEVER_MARRIED, WIDOWED, Person, education, marriage

HEAD, HEAD_ALONE, SPOUSE, SON, DAUGHTER = "02", "01", "10", "20", "30"
SON_IN_LAW, DAUGHTER_IN_LAW = "28", "38"
SONS_CHILDREN = {MALE: "41", FEMALE: "42"}
DAUGHTERS_CHILDREN = {MALE: "43", FEMALE: "44"}
CHILDREN = {MALE: SON, FEMALE: DAUGHTER}
HEADS_PARENTS = {MALE: "51", FEMALE: "52"}
OTHER_SEX = {MALE: FEMALE, FEMALE: MALE}

OLDEST = 105
YEAR = 365.2425
TWINS = 0.012
_TODAY = DAY_ZERO.toordinal()
_NEVER = datetime(1, 1, 1)

Household = list[Person]


def compose(dice: Dice) -> Household:
    """A household of day 0, the head first and parents before their children."""
    ethnicity = names.ethnicity(dice)
    value = dice.random()
    return next(shape for bound, shape in _SHAPES if value < bound)(dice, ethnicity)


def member(dice: Dice, sex: str, birth: date, relation: str, marital: str, name: str, ethnicity: str) -> Person:
    """A person who has everything but number, place and telephone."""
    age = (_TODAY - birth.toordinal()) // YEAR
    return Person(
        rybh="",
        id_number="",
        name=name,
        sex=sex,
        ethnicity=ethnicity,
        birth=birth,
        household="",
        relation=relation,
        division="",
        address="",
        education=education(dice, birth, int(age)),
        marital=marital,
        phone=None,
        remarks=None,
        updated=_NEVER,
    )


def _stranger(dice: Dice, sex: str, age: float, relation: str, marital: str, ethnicity: str) -> Person:
    """Somebody whose parents are elsewhere: the name is drawn freely."""
    birth = date.fromordinal(_TODAY - 1 - int(min(age, OLDEST) * YEAR))
    return member(dice, sex, birth, relation, marital, names.new_name(dice, ethnicity, sex, birth.year), ethnicity)


def _couple(dice: Dice, age: float, ethnicity: str, husband: str, wife: str) -> tuple[Person, Person]:
    marital = marriage(dice)
    gap = 5.5 * dice.random() - 1.5
    man = _stranger(dice, MALE, age, husband, marital, ethnicity)
    # Nobody is married much under 21; spread out, for a bound alone would give half a county one birthday.
    hers = age - gap if age - gap > 21 else 21 + 2 * dice.random()
    woman = _stranger(dice, FEMALE, hers, wife, marital, _wifes_ethnicity(dice, ethnicity))
    return man, woman


def _wifes_ethnicity(dice: Dice, husbands: str) -> str:
    return names.ethnicity(dice) if husbands == names.HAN else husbands


def _brood(dice: Dice, father: Person | None, mother: Person, relations: dict[str, str]) -> Household:
    """The children of a mother still registered with her: unmarried, born when she was 20 to 42."""
    parent = father or mother
    wanted = _family_size(dice, mother.birth.year)
    first = 20.2 + 7.0 * dice.random() + (2.5 if mother.birth.year >= 1985 else 0.0)
    birth = mother.birth.toordinal() + first * YEAR
    generation = names.generation_character(dice, mother.birth.year + 25)
    children: Household = []
    while wanted > 0 and birth < _TODAY and birth < mother.birth.toordinal() + 42 * YEAR:
        day = date.fromordinal(int(birth))
        sex = MALE if dice.chance(0.52) else FEMALE
        for _ in range(2 if dice.chance(TWINS) else 1):
            if _stays(dice, day):
                name = names.child_name(dice, parent.name, parent.ethnicity, sex, day.year, generation)
                while any(name == sibling.name for sibling in children):
                    name = names.child_name(dice, parent.name, parent.ethnicity, sex, day.year, "")
                unmarried = NEVER_MARRIED if dice.chance(0.96) or day.year > 1990 else DIVORCED
                children.append(member(dice, sex, day, relations[sex], unmarried, name, parent.ethnicity))
            sex = sex if dice.chance(0.62) else OTHER_SEX[sex]
        birth += (1.3 + 4.5 * dice.random()) * YEAR
        wanted -= 1
    return children


def _family_size(dice: Dice, mothers_birth_year: int) -> int:
    value = dice.random()
    if mothers_birth_year < 1950:
        return 3 + int(value * 3)
    if mothers_birth_year < 1962:
        return 2 + int(value * 2)
    if mothers_birth_year < 1980:
        return 1 if value < 0.45 else 2
    return 0 if value < 0.05 else 1 if value < 0.42 else 2 if value < 0.92 else 3


def _stays(dice: Dice, birth: date) -> bool:
    """Whether an unmarried child is still in the parents' household: ever fewer after 20."""
    age = (_TODAY - birth.toordinal()) / YEAR
    return age < 20 or dice.chance(max(0.04, 1 - (age - 20) / 12))


def _old_and_alone(dice: Dice, ethnicity: str) -> Household:
    age = 63 + 27 * dice.random() ** 1.2
    if dice.chance(0.08):
        age = 90 + 15 * dice.random() ** 2
    sex = FEMALE if dice.chance(0.62) else MALE
    marital = WIDOWED if dice.chance(0.86) or sex == FEMALE else NEVER_MARRIED
    return [_stranger(dice, sex, age, HEAD_ALONE, marital, ethnicity)]


def _alone(dice: Dice, ethnicity: str) -> Household:
    age = 21 + 38 * dice.random()
    marital = NEVER_MARRIED if dice.chance(0.95 if age < 30 else 0.55) else DIVORCED
    return [_stranger(dice, MALE if dice.chance(0.64) else FEMALE, age, HEAD_ALONE, marital, ethnicity)]


def _childless_couple(dice: Dice, ethnicity: str) -> Household:
    age = 24 + 10 * dice.random() if dice.chance(0.15) else 50 + 38 * dice.random()
    return list(_couple(dice, age, ethnicity, HEAD, SPOUSE))


def _parents_and_children(dice: Dice, ethnicity: str) -> Household:
    age = 27 + 36 * dice.random()
    if dice.chance(0.16):
        husband, wife = _couple(dice, age, ethnicity, SPOUSE, HEAD)
        return [wife, husband, *_brood(dice, husband, wife, CHILDREN)]
    husband, wife = _couple(dice, age, ethnicity, HEAD, SPOUSE)
    return [husband, wife, *_brood(dice, husband, wife, CHILDREN)]


def _single_parent(dice: Dice, ethnicity: str) -> Household:
    mother = _stranger(dice, FEMALE, 28 + 25 * dice.random(), HEAD, DIVORCED, ethnicity)
    if dice.chance(0.3):
        mother.marital = WIDOWED
    children = _brood(dice, None, mother, CHILDREN)
    if not children:
        mother.relation = HEAD_ALONE
    return [mother, *children]


def _with_grandparents(dice: Dice, ethnicity: str) -> Household:
    """A married head with children and one or both of his own parents."""
    household = _parents_and_children(dice, ethnicity)
    head = household[0]
    age = (_TODAY - head.birth.toordinal()) / YEAR + 21 + 9 * dice.random()
    if age > OLDEST - 8:
        return household
    father, mother = _couple(dice, age + 2, head.ethnicity, HEADS_PARENTS[MALE], HEADS_PARENTS[FEMALE])
    if dice.chance(0.45):
        survivor = mother if dice.chance(0.7) else father
        survivor.marital = WIDOWED
        parents = [survivor]
    else:
        parents = [father, mother]
    if head.sex == MALE and "·" not in head.name:
        father.name = names.child_name(dice, head.name, head.ethnicity, MALE, father.birth.year, "")
    return household + parents


def _three_generations(dice: Dice, ethnicity: str) -> Household:
    """A head with a married child, the child's spouse and grandchildren."""
    husband, wife = _couple(dice, 47 + 33 * dice.random(), ethnicity, HEAD, SPOUSE)
    heirs_age = (_TODAY - wife.birth.toordinal()) / YEAR - (20 + 6 * dice.random())
    if heirs_age < 22:
        return [husband, wife, *_brood(dice, husband, wife, CHILDREN)]
    keeps_son = dice.chance(0.86)
    if keeps_son:
        young_man, young_woman = _couple(dice, heirs_age, ethnicity, SON, DAUGHTER_IN_LAW)
        heir, relations = young_man, SONS_CHILDREN
    else:
        young_man, young_woman = _couple(dice, heirs_age, ethnicity, SON_IN_LAW, DAUGHTER)
        heir, relations = young_woman, DAUGHTERS_CHILDREN
    if heir.birth.toordinal() < wife.birth.toordinal() + 18 * YEAR:
        return [husband, wife]
    generation = names.generation_character(dice, heir.birth.year)
    heir.name = names.child_name(dice, husband.name, husband.ethnicity, heir.sex, heir.birth.year, generation)
    grandchildren = _brood(dice, young_man, young_woman, relations)
    elders = [husband, wife]
    if dice.chance(0.22):
        survivor = wife if dice.chance(0.7) else husband
        survivor.marital, survivor.relation = WIDOWED, HEAD
        elders = [survivor]
    return [*elders, *sorted((young_man, young_woman), key=lambda person: person is not heir), *grandchildren]


def _shapes() -> list[tuple[float, Callable[[Dice, str], Household]]]:
    bound, shapes = 0.0, []
    for share, shape in (
        (0.11, _old_and_alone),
        (0.08, _alone),
        (0.15, _childless_couple),
        (0.35, _parents_and_children),
        (0.04, _single_parent),
        (0.09, _with_grandparents),
        (0.18, _three_generations),
    ):
        bound += share
        shapes.append((bound, shape))
    return [*shapes[:-1], (2.0, shapes[-1][1])]


_SHAPES = _shapes()
