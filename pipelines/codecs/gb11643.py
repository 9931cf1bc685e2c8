"""Citizen identity numbers (GB 11643-1999), as SQL expressions that DuckDB runs vectorised.

Each function takes an SQL expression of type VARCHAR and returns an SQL expression. A predicate is true, false, or
NULL where an earlier predicate already failed, so that one defect is reported once. Ranges (age, future) are rules of
contracts, not of the number.

The address part is the division at first registration: prefixes abolished since (342401 for most adults of Lu'an)
are valid, so only the province is looked at.
"""

from pipelines.codecs.sql import literals, where

_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECK_DIGITS = "10X98765432"
# Provinces of GB/T 2260; 81-83 are residence permits of Hong Kong, Macao and Taiwan; 9x permanent residents.
_PROVINCES = "1[1-5]|2[1-3]|3[1-7]|4[1-6]|5[0-4]|6[1-5]|71|8[1-3]|9[0-9]"

# Days of the calendar as YYYYMMDD. There was no year 0, but DuckDB knows one (1 BC), and no reader of Arrow or Python.
_YEAR = "[1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9]"
_DAY = "(?:0[13578]|1[02])(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)(?:0[1-9]|[12][0-9]|30)|02(?:0[1-9]|1[0-9]|2[0-8])"
_FOURTH = "0[48]|[2468][048]|[13579][26]"
_DATES = f"(?:{_YEAR})(?:{_DAY})|(?:[0-9]{{2}}(?:{_FOURTH})|(?:{_FOURTH})00)0229"


def well_formed(number: str) -> str:
    """17 digits and a digit or X. GLOB sees that in half the time of a regular expression."""
    return f"({number} GLOB '[1-9]{'[0-9]' * 16}[0-9X]')"


def check_digit_right(number: str) -> str:
    """The 18th character is the check digit of the first 17 (ISO 7064 MOD 11-2). NULL if not well formed."""
    return where(f"suffix({number}, {_check_digit(_body(number))})", well_formed(number))


def content_right(number: str) -> str:
    """A known province and a calendar date. NULL if the check digit is wrong."""
    content = f"regexp_full_match({number}, '(?:{_PROVINCES})[0-9]{{4}}(?:{_DATES})[0-9]{{3}}[0-9X]')"
    return where(content, check_digit_right(number))


def birth_date(number: str) -> str:
    """The date of birth in digits 7-14, a DATE; NULL unless the number is right."""
    return f"CASE WHEN {content_right(number)} THEN {_date(number)} END"


def born_on(number: str, day: str) -> str:
    """The date of birth is `day`; NULL unless the number is right."""
    written = f"year({day}) * 10000 + month({day}) * 100 + day({day})"
    return where(f"{_body(number)} // 1000 % 100000000 = {written}", content_right(number))


def of_sex(number: str, sex: str) -> str:
    """The sequence number is odd where `sex` is '1' (male), else even, as it must be for '2' (female); NULL unless the
    number is right."""
    return where(f"({sex} = '1') = ({_body(number)} % 2 = 1)", content_right(number))


def upgrade(number: str) -> str:
    """A 15-digit number of the first generation as 18 digits: century 19 and the check digit added.

    Anything else is returned unchanged. The old form is 6 + YYMMDD + 3 without a check digit, so a damaged old number
    cannot be told from a right one; only its date is judged afterwards.
    """
    body = f"substr({number}, 1, 6) || '19' || substr({number}, 7)"
    upgraded = f"{body} || {_check_digit(f'try_cast({body} AS BIGINT)')}"
    return f"CASE WHEN regexp_full_match({number}, '[1-9][0-9]{{14}}') THEN {upgraded} ELSE {number} END"


def _body(number: str) -> str:
    """The first 17 digits as one integer: a text would be searched for each of them."""
    return f"try_cast(substr({number}, 1, 17) AS BIGINT)"


def _check_digit(body: str) -> str:
    """The check digit of 17 digits, given as an integer.

    The digit at 10^k is body // 10^k - 10 * (body // 10^(k + 1)), and 10 is -1 modulo 11: so each quotient counts with
    the weights of its own digit and of the one to its right, and no digit has to be cut out.
    """
    weights = (0, *reversed(_WEIGHTS))
    terms = " + ".join(f"{body} // {10**k} * {(own + weights[k]) % 11}" for k, own in enumerate(weights[1:]))
    return f"list_extract([{literals(_CHECK_DIGITS)}], ({terms}) % 11 + 1)"


def _date(number: str) -> str:
    parts = (f"substr({number}, {start}, {length})" for start, length in ((7, 4), (11, 2), (13, 2)))
    return "try_cast(" + " || '-' || ".join(parts) + " AS DATE)"
