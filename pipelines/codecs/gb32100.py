"""Unified social credit codes (GB 32100-2015), as SQL expressions that DuckDB runs vectorised.

Each function takes an SQL expression of type VARCHAR and returns an SQL expression. A predicate is true, false, or
NULL where an earlier predicate already failed, so that one defect is reported once.

The division in the code is that of the authority at registration, which may be abolished since, so only its form is
looked at. Whether an organisation exists is a matter of the register of legal persons, not of its code.
"""

from pipelines.codecs import gb11714

# Latin capitals without I, O, S, V and Z, which are read as 1, 0, 5, U and 2.
_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_WEIGHTS = tuple(pow(3, place, 31) for place in range(17))
# The registering authority, then the kind of organisation it registers: establishment (1), foreign affairs (2),
# justice (3), culture (4), civil affairs (5), tourism (6), religion (7), trade unions (8), market regulation (9),
# military (A), agriculture (N), others (Y). Civil affairs give 54 to committees of villages and communities since
# they are legal persons (2017); older tables of the standard lack it.
_KINDS = "1[1-39]|2[19]|3[1-59]|4[19]|5[1-49]|6[129]|7[129]|8[19]|9[1-3]|A[19]|N[1-39]|Y1"


def well_formed(code: str) -> str:
    """A known authority and kind, 6 digits of a division, an organisation code, and a check character."""
    return f"regexp_full_match({code}, '({_KINDS})[1-9][0-9]{{5}}[{_ALPHABET}]{{8}}[0-9X][{_ALPHABET}]')"


def check_digits_right(code: str) -> str:
    """The 18th character checks the first 17, and the 17th the organisation code inside. NULL if not well formed."""
    values = (f"(strpos('{_ALPHABET}', substr({code}, {i}, 1)) - 1)" for i in range(1, 18))
    total = " + ".join(f"{value} * {weight}" for value, weight in zip(values, _WEIGHTS, strict=True))
    right = f"substr('{_ALPHABET}', (31 - ({total}) % 31) % 31 + 1, 1) = substr({code}, 18, 1)"
    inside = gb11714.check_digit_right(f"substr({code}, 9, 9)")
    return f"CASE WHEN {well_formed(code)} THEN {right} AND {inside} END"


def organisation_code(code: str) -> str:
    """The organisation code (GB 11714-1997) in positions 9-17; NULL unless the code is right."""
    return f"CASE WHEN {check_digits_right(code)} THEN substr({code}, 9, 9) END"


def division(code: str) -> str:
    """The division of the registering authority in positions 3-8; NULL unless the code is right."""
    return f"CASE WHEN {check_digits_right(code)} THEN substr({code}, 3, 6) END"
