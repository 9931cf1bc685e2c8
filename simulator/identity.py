"""Citizens' identity numbers: check character, number and the address code of the place of first registration.

The simulator's own reading of GB 11643-1999, deliberately not shared with the engine that will be tested with it.
"""

from __future__ import annotations

from array import array
from datetime import date
from functools import lru_cache

from simulator.chance import Dice, deck

WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
CHECK_CHARACTERS = "10X98765432"
SEQUENCES = 499
"""Numbers one place can give to one sex on one birthday: odd 001-997 for men, even 002-998 for women."""

# Address codes of the prefecture of Lu'an, abolished in 1999 (342421, 六安县, already in 1992).
FORMER = {
    "341502": deck("342401 342421"),
    "341503": deck("342401 342421"),
    "341504": ("342423",),
    "341522": ("342423",),
    "341523": ("342425",),
    "341524": ("342426",),
    "341525": ("342427",),
}
LAST_YEAR_OF_FORMER = 1998
LAST_YEAR_OF_342421 = 1992

# Places people have moved in from, with the birth years for which the code was in force there.
ELSEWHERE = (
    ("342422", 1900, 1998),  # 寿县, of Lu'an until 2015
    ("341521", 1999, 2015),
    ("340422", 2016, 2100),
    ("340121", 1900, 2100),  # 长丰
    ("340123", 1983, 2100),  # 肥西
    ("342622", 1900, 1998),  # 庐江
    ("340124", 2011, 2100),
    ("342128", 1900, 1995),  # 颍上
    ("341226", 1996, 2100),
    ("413026", 1900, 1997),  # 固始
    ("411525", 1998, 2100),
    ("413027", 1900, 1997),  # 商城
    ("411524", 1998, 2100),
    ("340828", 1988, 2100),  # 岳西
)
SHARE_FROM_ELSEWHERE = 0.03

_FIRST_DAY = date(1915, 1, 1).toordinal()
_DAYS = 45_000
_PREFIXES = sorted(
    {code for codes in FORMER.values() for code in codes} | set(FORMER) | {code for code, _, _ in ELSEWHERE}
)
_PREFIX_INDEX = {prefix: index for index, prefix in enumerate(_PREFIXES)}


class NumbersExhausted(RuntimeError):
    """One place has no number left for one birthday and sex: the city is larger than its codes allow."""


def check_character(body: str) -> str:
    """The 18th character for the first 17 digits (ISO 7064 MOD 11-2)."""
    return CHECK_CHARACTERS[sum(weight * int(digit) for weight, digit in zip(WEIGHTS, body, strict=True)) % 11]


def complete(body: str) -> str:
    """The 18-character number for its first 17 digits."""
    return body + check_character(body)


def shorten(number: str) -> str:
    """The old 15-digit form: no century, no check character. Only meaningful for births before 2000."""
    return number[:6] + number[8:17]


def identity_number(prefix: str, birth: date, sex: str, nth: int) -> str:
    """The number given to the ``nth`` (from 0) person of this place, birthday and sex ('1' or '2').

    Sequence numbers are given out in scattered order: real ones are not 001, 002, 003 either.

    Raises:
        NumbersExhausted: ``nth`` is beyond what three digits can hold.
    """
    if nth >= SEQUENCES:
        raise NumbersExhausted(f"{prefix} has given out all {SEQUENCES} numbers for {birth}")
    slot = (nth * 137 + birth.toordinal() * 7919 + int(prefix)) % SEQUENCES
    sequence = 2 * slot + (1 if sex == "1" else 2)
    return complete(f"{prefix}{birth:%Y%m%d}{sequence:03d}")


def first_registration(dice: Dice, county: str, birth: date) -> str:
    """The address code in force at the birth year, mostly of the county where the person now lives."""
    if dice.chance(SHARE_FROM_ELSEWHERE):
        return dice.pick(_elsewhere(birth.year))
    if birth.year > LAST_YEAR_OF_FORMER:
        # 叶集 became a district in 2015; until then its children were registered in 霍邱.
        return "341522" if county == "341504" and birth.year <= 2015 else county
    code = dice.pick(FORMER[county])
    return "342401" if code == "342421" and birth.year > LAST_YEAR_OF_342421 else code


class Register:
    """Remembers how many numbers each place has given out per birthday and sex, so that no number is given twice.

    Five megabytes at any size of city, which is why it is an array and not a set of numbers.
    """

    def __init__(self) -> None:
        self._given = array("H", bytes(2 * 2 * _DAYS * len(_PREFIXES)))

    def give(self, prefix: str, birth: date, sex: str) -> str:
        """The next unused number of the place for this birthday and sex."""
        day = birth.toordinal() - _FIRST_DAY
        index = (_PREFIX_INDEX[prefix] * _DAYS + day) * 2 + (sex == "1")
        nth = self._given[index]
        self._given[index] = nth + 1
        return identity_number(prefix, birth, sex, nth)


@lru_cache(maxsize=256)
def _elsewhere(year: int) -> tuple[str, ...]:
    return tuple(code for code, first, last in ELSEWHERE if first <= year <= last)
