"""Organisation codes (GB 11714-1997), as SQL expressions that DuckDB runs vectorised.

Each function takes an SQL expression of type VARCHAR and returns an SQL expression. A predicate is true, false, or
NULL where an earlier predicate already failed, so that one defect is reported once. The code inside a unified social
credit code is judged with that code, in `gb32100`.
"""

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)
# C9 = 11 - sum modulo 11, where 10 is written X and 11 is written 0: listed by the rest of the sum.
_CHECK_DIGITS = "0X987654321"


def compact(code: str) -> str:
    """The hyphen before the check digit removed: `XXXXXXXX-X` becomes 9 characters. Anything else is unchanged."""
    return rf"regexp_replace({code}, '^([0-9A-Za-z]{{8}})[-‐–—−－]([0-9Xx])$', '\1\2')"


def well_formed(code: str) -> str:
    """8 digits or capitals and a digit or X."""
    return f"regexp_full_match({code}, '[0-9A-Z]{{8}}[0-9X]')"


def check_digit_right(code: str) -> str:
    """The 9th character is the check digit of the first 8. NULL if not well formed."""
    values = (f"(strpos('{_ALPHABET}', substr({code}, {i}, 1)) - 1)" for i in range(1, 9))
    total = " + ".join(f"{value} * {weight}" for value, weight in zip(values, _WEIGHTS, strict=True))
    right = f"substr('{_CHECK_DIGITS}', ({total}) % 11 + 1, 1) = substr({code}, 9, 1)"
    return f"CASE WHEN {well_formed(code)} THEN {right} END"
