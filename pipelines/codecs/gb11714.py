"""Organisation codes (GB 11714-1997), as SQL expressions.

Each function takes an SQL expression of type VARCHAR and returns an SQL expression, for connections that know the
functions of `pipelines.codecs.functions`. A predicate is true, false, or NULL where an earlier predicate already
failed, so that one defect is reported once. The code inside a unified social credit code is judged with that code, in
`gb32100`.
"""

import numpy as np

from pipelines.codecs.pairs import MALFORMED, Judge
from pipelines.codecs.sql import answered

FUNCTION = "gb11714"

_VALUES = {sign: value for value, sign in enumerate("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ")}
_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)
# C9 = 11 - sum modulo 11, where 10 is written X and 11 is written 0: so C9 brings the sum to 0 modulo 11.
_CHECK_VALUES = {sign: value for value, sign in enumerate("0123456789X")}
RIGHT, _WRONG = 1, 2


def weighed() -> list[dict[str, int]]:
    """For each of the 9 places, what a character there adds to a sum that is 0 modulo 11 if the code is right."""
    body = [{sign: value * weight for sign, value in _VALUES.items()} for weight in _WEIGHTS]
    return [*body, _CHECK_VALUES]


def judge() -> Judge:
    """1 right, 2 a wrong check digit, 0 no code at all."""
    *body, check = weighed()
    pairs = [
        {a + b: (x + y) % 11 for a, x in first.items() for b, y in second.items()}
        for first, second in zip(body[::2], body[1::2], strict=True)
    ]
    sums = np.arange(sum(max(numbers.values()) for numbers in (*pairs, check)) + 1)
    return Judge([*pairs, check], np.where(sums % 11 == 0, RIGHT, _WRONG).astype(np.int8))


def compact(code: str) -> str:
    """The hyphen before the check digit removed: `XXXXXXXX-X` becomes 9 characters. Anything else is unchanged."""
    return rf"regexp_replace({code}, '^([0-9A-Za-z]{{8}})[-‐–—−－]([0-9Xx])$', '\1\2')"


def well_formed(code: str) -> str:
    """8 digits or capitals and a digit or X."""
    return f"({FUNCTION}({code}) > {MALFORMED})"


def check_digit_right(code: str) -> str:
    """The 9th character is the check digit of the first 8. NULL if not well formed."""
    return answered(f"{FUNCTION}({code})", (None, True, False))
