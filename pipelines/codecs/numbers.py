"""Telephone numbers and vehicle plates, as SQL expressions that DuckDB runs vectorised.

Each function takes an SQL expression of type VARCHAR and returns a predicate. These numbers have no check digit, so
only their form is judged; separators are removed by cleaning steps, not accepted here.
"""

_PROVINCES = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼"
# I and O are not used on plates.
_LETTER, _SIGN = "[A-HJ-NP-Z]", "[A-HJ-NP-Z0-9]"


def mobile(number: str) -> str:
    """A mobile number of 11 digits."""
    return f"regexp_full_match({number}, '1[3-9][0-9]{{9}}')"


def fixed_line(number: str) -> str:
    """An area code and 7 or 8 digits, with or without a hyphen between them; an extension may follow a hyphen."""
    # 010 and 02x always have 8 digits; other area codes have four digits.
    line = "(010|02[0-9])-?[2-9][0-9]{7}|0[3-9][0-9]{2}-?[2-9][0-9]{6,7}"
    return f"regexp_full_match({number}, '({line})(-[0-9]{{1,6}})?')"


def plate(number: str) -> str:
    """A civil plate (GA 36): 7 characters, or 8 for new energy; not those of embassies, armed forces and rescue."""
    plain = f"{_SIGN}{{4}}({_SIGN}|[挂学警港澳])"
    # The letter that tells the kind of energy stands first for small cars and last for large ones.
    new_energy = f"[A-HJK]{_SIGN}[0-9]{{4}}|[0-9]{{5}}[A-HJK]"
    return f"regexp_full_match({number}, '[{_PROVINCES}]{_LETTER}({plain}|{new_energy})')"
