"""Citizen identity numbers (GB 11643-1999), as SQL expressions.

Each function takes an SQL expression of type VARCHAR and returns an SQL expression, for connections that know the
functions of `pipelines.codecs.functions`. A predicate is true, false, or NULL where an earlier predicate already
failed, so that one defect is reported once. Ranges (age, future) are rules of contracts, not of the number.

The address part is the division at first registration: prefixes abolished since (342401 for most adults of Lu'an)
are valid, so only the province is looked at.
"""

from itertools import product

import numpy as np
import numpy.typing as npt

from pipelines.codecs.pairs import MALFORMED, Judge
from pipelines.codecs.sql import answered, literals, where

FUNCTION = "gb11643"

_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2, 1)
# The check digit brings the sum of values times weights to 1 modulo 11, where X is 10.
_CHECK_DIGITS = "0123456789X"
# Provinces of GB/T 2260; 81-83 are residence permits of Hong Kong, Macao and Taiwan; 9x permanent residents.
_PROVINCES = {11, 12, 13, 14, 15, 21, 22, 23, *range(31, 38), *range(41, 47), *range(50, 55), *range(61, 66), 71}
_PROVINCES |= {81, 82, 83, *range(90, 100)}

# Bits of a sum: 9 pairs of at most 10 for the check digit, then what the pairs of address and date are.
_REST = (1 << 7) - 1
_NO_PROVINCE = 1 << 7
_MONTH, _DAY, _YEAR, _CENTURY = 8, 10, 13, 15
_SUMS = 1 << 17
# A verdict is 1 and the rest modulo 11, and this where province or date is wrong.
_NO_CONTENT = 16
_VERDICTS = range(1, 12 + _NO_CONTENT)
RIGHT = 2
"""The verdict on a right number."""


def judge() -> Judge:
    """The rest of the weighed sum and whether province and date can be; 0 for what is no 17 digits and digit or X."""
    digits = _CHECK_DIGITS[:10]
    pairs = []
    for place in range(0, 18, 2):
        first = digits[1:] if place == 0 else digits
        second = _CHECK_DIGITS if place == 16 else digits
        pairs.append({a + b: _rest(place, a, b) + _content(place, a + b) for a, b in product(first, second)})
    sums = np.arange(_SUMS)
    content = (sums & _NO_PROVINCE == 0) & _is_day(sums)
    return Judge(pairs, (1 + (sums & _REST) % 11 + np.where(content, 0, _NO_CONTENT)).astype(np.int8))


def _rest(place: int, first: str, second: str) -> int:
    values = (_CHECK_DIGITS.index(first), _CHECK_DIGITS.index(second))
    return sum(value * weight for value, weight in zip(values, _WEIGHTS[place:], strict=False)) % 11


def _content(place: int, pair: str) -> int:
    """What a pair says of province or date, in bits of its own."""
    if place == 0:
        return 0 if int(pair) in _PROVINCES else _NO_PROVINCE
    if place == 6:  # 0 the first, 1 one whose hundredth year has a 29 February, 2 another
        return (0 if pair == "00" else 1 if int(pair) % 4 == 0 else 2) << _CENTURY
    if place == 8:  # 0 the hundredth year, 1 one with a 29 February, 2 another
        return (0 if pair == "00" else 1 if int(pair) % 4 == 0 else 2) << _YEAR
    if place == 10:  # 0 none, 1 February, 2 of 30 days, 3 of 31 days
        return (0 if not 1 <= int(pair) <= 12 else {2: 1, 4: 2, 6: 2, 9: 2, 11: 2}.get(int(pair), 3)) << _MONTH
    if place == 12:  # 0 none, 1 a day of every month, 2 to 4 the 29th to 31st
        return (0 if not 1 <= int(pair) <= 31 else max(1, int(pair) - 27)) << _DAY
    return 0


def _is_day(sums: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
    """Whether sums are of a day of the calendar. There was no year 0."""
    century, year = sums >> _CENTURY & 3, sums >> _YEAR & 3
    month, day = sums >> _MONTH & 3, sums >> _DAY & 7
    leap = (year == 1) | (year == 0) & (century == 1)
    last = np.choose(month, [0, np.where(leap, 2, 1), 3, 4])
    right: npt.NDArray[np.bool_] = (day > 0) & (day <= last) & ~((century == 0) & (year == 0))
    return right


def well_formed(number: str) -> str:
    """17 digits, the first of them no 0, and a digit or X."""
    return f"({FUNCTION}({number}) > {MALFORMED})"


def check_digit_right(number: str) -> str:
    """The 18th character is the check digit of the first 17 (ISO 7064 MOD 11-2). NULL if not well formed."""
    return answered(f"{FUNCTION}({number})", (None, *(_rest_right(verdict) for verdict in _VERDICTS)))


def content_right(number: str) -> str:
    """A known province and a calendar date. NULL if the check digit is wrong."""
    answers = (verdict < _NO_CONTENT if _rest_right(verdict) else None for verdict in _VERDICTS)
    return answered(f"{FUNCTION}({number})", (None, *answers))


def _rest_right(verdict: int) -> bool:
    return (verdict - 1) % _NO_CONTENT == 1


def birth_date(number: str) -> str:
    """The date of birth in digits 7-14, a DATE; NULL unless the number is right."""
    return f"CASE WHEN {content_right(number)} THEN {_date(number)} END"


def born_on(number: str, day: str) -> str:
    """The date of birth is `day`; NULL unless the number is right."""
    written = f"year({day}) * 10000 + month({day}) * 100 + day({day})"
    return where(f"try_cast(substr({number}, 7, 8) AS INTEGER) = {written}", content_right(number))


def of_sex(number: str, sex: str) -> str:
    """The sequence number is odd where `sex` is '1' (male), else even, as it must be for '2' (female); NULL unless the
    number is right."""
    odd = f"{number} GLOB '{'?' * 16}[13579]?'"
    return where(f"({sex} = '1') = ({odd})", content_right(number))


def upgrade(number: str) -> str:
    """A 15-digit number of the first generation as 18 digits: century 19 and the check digit added.

    Anything else is returned unchanged. The old form is 6 + YYMMDD + 3 without a check digit, so a damaged old number
    cannot be told from a right one; only its date is judged afterwards.
    """
    body = f"substr({number}, 1, 6) || '19' || substr({number}, 7)"
    # with the check digit 0, the rest says what is missing to 1
    by_rest = literals(_CHECK_DIGITS[(1 - rest) % 11] for rest in range(11))
    upgraded = f"{body} || list_extract([{by_rest}], {FUNCTION}({body} || '0') % {_NO_CONTENT})"
    return f"CASE WHEN regexp_full_match({number}, '[1-9][0-9]{{14}}') THEN {upgraded} ELSE {number} END"


def _date(number: str) -> str:
    parts = (f"substr({number}, {start}, {length})" for start, length in ((7, 4), (11, 2), (13, 2)))
    return "try_cast(" + " || '-' || ".join(parts) + " AS DATE)"
