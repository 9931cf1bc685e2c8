"""Unified social credit codes (GB 32100-2015), as SQL expressions.

Each function takes an SQL expression of type VARCHAR and returns an SQL expression, for connections that know the
functions of `pipelines.codecs.functions`. A predicate is true, false, or NULL where an earlier predicate already
failed, so that one defect is reported once.

The division in the code is that of the authority at registration, which may be abolished since, so only its form is
looked at. Whether an organisation exists is a matter of the register of legal persons, not of its code.
"""

from itertools import product

import numpy as np

from pipelines.codecs import gb11714
from pipelines.codecs.pairs import MALFORMED, Judge
from pipelines.codecs.sql import answered

FUNCTION = "gb32100"

# Latin capitals without I, O, S, V and Z, which are read as 1, 0, 5, U and 2.
_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_WEIGHTS = tuple(pow(3, place, 31) for place in range(17))
# The registering authority, then the kinds of organisation it registers: establishment (1), foreign affairs (2),
# justice (3), culture (4), civil affairs (5), tourism (6), religion (7), trade unions (8), market regulation (9),
# military (A), agriculture (N), others (Y). Civil affairs give 54 to committees of villages and communities since
# they are legal persons (2017); older tables of the standard lack it.
_KINDS = {
    "1": "1239", "2": "19", "3": "123459", "4": "19", "5": "12349", "6": "129", "7": "129", "8": "19", "9": "123",
    "A": "19", "N": "1239", "Y": "1",
}  # fmt: skip
RIGHT, _WRONG = 1, 2


def judge() -> Judge:
    """1 right, 2 a wrong check character, its own or of the organisation code inside, 0 no code at all."""
    values = {sign: value for value, sign in enumerate(_ALPHABET)}
    weights = (*_WEIGHTS, 1)  # the 18th character brings the sum to 0 modulo 31
    nothing = dict.fromkeys(_ALPHABET, 0)
    inside = [nothing] * 8 + gb11714.weighed() + [nothing]
    pairs = [
        {
            a + b: (values[a] * weights[place] + values[b] * weights[place + 1]) % 31
            + ((inside[place][a] + inside[place + 1][b]) % 11 << 9)
            for a, b in _pairs(place)
        }
        for place in range(0, 18, 2)
    ]  # 9 pairs of at most 30 stay below 1 << 9
    sums = np.arange(1 << 15)
    right = (sums % (1 << 9) % 31 == 0) & ((sums >> 9) % 11 == 0)
    return Judge(pairs, np.where(right, RIGHT, _WRONG).astype(np.int8))


def _pairs(place: int) -> list[tuple[str, str]]:
    """What may stand in a place and the next one: authority and kind, 6 digits of a division, an organisation code of
    8 characters and its check digit, a check character."""
    if place == 0:
        return [(authority, kind) for authority, kinds in _KINDS.items() for kind in kinds]
    digits = _ALPHABET[:10]
    usual = digits if place < 8 else _ALPHABET
    return list(product({2: digits[1:], 16: digits + "X"}.get(place, usual), usual))


def well_formed(code: str) -> str:
    """A known authority and kind, 6 digits of a division, an organisation code, and a check character."""
    return f"({FUNCTION}({code}) > {MALFORMED})"


def check_digits_right(code: str) -> str:
    """The 18th character checks the first 17, and the 17th the organisation code inside. NULL if not well formed."""
    return answered(f"{FUNCTION}({code})", (None, True, False))


def organisation_code(code: str) -> str:
    """The organisation code (GB 11714-1997) in positions 9-17; NULL unless the code is right."""
    return f"CASE WHEN {check_digits_right(code)} THEN substr({code}, 9, 9) END"


def division(code: str) -> str:
    """The division of the registering authority in positions 3-8; NULL unless the code is right."""
    return f"CASE WHEN {check_digits_right(code)} THEN substr({code}, 3, 6) END"
