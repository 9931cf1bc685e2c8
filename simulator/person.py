"""One human being as the truth knows them, and what age says about schooling, marriage and telephones.

Codes are those of GB/T 2261.1 (sex), GB/T 2261.2 (marriage), GB/T 3304 (ethnicity), GB/T 4658 (education) and
GB/T 4761 (relation to the head). Who lives with whom belongs to `households`, what happens later to `life`.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import date, datetime
from operator import attrgetter

from simulator.chance import Dice, deck

DAY_ZERO = date(2026, 1, 1)
"""The first simulated day: everybody in the initial population was born before it."""

MALE, FEMALE = "1", "2"
NEVER_MARRIED, WIDOWED, DIVORCED = "10", "30", "40"
MARRIED = ("20", "21", "22", "23")

# Highest education by the birth year in which the next generation of schooling began.
_EDUCATION = (
    (1945, deck("90*40 80*42 70*12 60*4 30 40")),
    (1960, deck("90*14 80*44 70*30 60*9 40*2 30")),
    (1975, deck("90*4 80*26 70*50 60*12 40*4 30*3 20")),
    (1990, deck("80*8 70*48 60*14 40*10 30*12 20*8")),
    (2200, deck("80*2 70*20 60*18 40*16 30*22 20*20 10*2")),
)
# Number ranges which, as far as known, no operator has been given: the numbers look right and reach nobody.
_PHONE_RANGES = ("142", "143", "154", "161", "163", "164", "168", "169", "179")
_REMARKS = ("外出务工", "空挂户", "户口簿补发", "学生集体户迁回", "军属")


@dataclass(slots=True)
class Person:
    """A person of the city; an empty ``defect`` means the department delivers exactly this."""

    rybh: str
    id_number: str
    name: str
    sex: str
    ethnicity: str
    birth: date
    household: str
    relation: str
    division: str
    address: str
    education: str | None
    marital: str
    phone: str | None
    remarks: str | None
    updated: datetime
    defect: str | None = None
    status: str = "living"
    ended: date | None = None
    """The day on which somebody who is 'dead' died, or on which somebody who has 'left' left."""

    def age(self, on: date) -> int:
        """Completed years on a day."""
        return on.year - self.birth.year - ((on.month, on.day) < (self.birth.month, self.birth.day))


PERSON_COLUMNS = tuple(field.name for field in fields(Person))
_values = attrgetter(*PERSON_COLUMNS)


def values_of(person: Person) -> tuple[str | date | datetime | None, ...]:
    """All values of a person in the order of ``PERSON_COLUMNS``."""
    # Several times as fast as dataclasses.astuple, which copies deeply.
    values: tuple[str | date | datetime | None, ...] = _values(person)
    return values


def education(dice: Dice, birth: date, age: int) -> str | None:
    """A plausible highest education; nothing is recorded before school age."""
    if age < 6:
        return None
    if age < 12:
        return "80"
    if age < 15:
        return "70"
    if age < 18:
        return "60" if dice.chance(0.6) else "40"
    return dice.pick(next(cards for end, cards in _EDUCATION if birth.year < end))


def marriage(dice: Dice) -> str:
    """How a living marriage is coded: mostly 20, for some as first or second marriage."""
    value = dice.random()
    return "20" if value < 0.85 else "21" if value < 0.93 else "22" if value < 0.99 else "23"


def phone_number(dice: Dice) -> str:
    """An 11-digit mobile number."""
    return f"{dice.pick(_PHONE_RANGES)}{dice.below(100_000_000):08d}"


def own_phone(dice: Dice, age: int) -> str | None:
    """The number an adult has registered, if any: the old often have none."""
    return phone_number(dice) if dice.chance(0.96 if age < 60 else 0.82 if age < 75 else 0.5) else None


def remark(dice: Dice) -> str | None:
    """What a clerk noted: nearly always nothing."""
    return dice.pick(_REMARKS) if dice.chance(0.015) else None
