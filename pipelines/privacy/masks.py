"""Masks: SQL expressions that lower the sensitivity of a value, each with the level that results.

A mask that needs a key is a scalar function of that name which the caller registers on the connection
(`pipelines.privacy.channel_keys`), so that it survives into compiled SQL.
"""

from collections.abc import Callable
from dataclasses import dataclass

from pipelines.verbs import Registry


@dataclass(frozen=True)
class MaskAbout:
    """`level`: the sensitivity that remains. `needs_key`: a function of that name must be registered. `opens`: whoever
    is given the key sees the value again, so it is no pseudonym. `made`: the logical type of what it makes.

    `fits`: the only columns it may be put on, by what they are (kind of personal data, code list or logical type);
    None fits any. A mask on another column could show what it does not expect.
    """

    level: int
    needs_key: bool = False
    opens: bool = False
    fits: str | None = None
    made: str = "string"


masks: Registry[Callable[[str], str], MaskAbout] = Registry("mask")


@masks.register(MaskAbout(level=3, fits="id_number"))
def id_6_4(value: str) -> str:
    """The first six and last four characters of an 18-character number: 341502********0019; else asterisks only."""
    shown = f"substr({value}, 1, 6) || '********' || substr({value}, 15, 4)"
    return _where(f"length({value}) = 18", shown, f"'{'*' * 18}'", value)


@masks.register(MaskAbout(level=3, fits="name"))
def surname(value: str) -> str:
    """The first character of a name, the others as asterisks: 张**; a name of one character is an asterisk."""
    shown = f"substr({value}, 1, 1) || repeat('*', length({value}) - 1)"
    return _where(f"length({value}) > 1", shown, "'*'", value)


@masks.register(MaskAbout(level=3, fits="mobile"))
def phone_3_4(value: str) -> str:
    """The first three and last four digits of 11: 138****1234; else asterisks only."""
    shown = f"substr({value}, 1, 3) || '****' || substr({value}, 8, 4)"
    return _where(f"length({value}) = 11", shown, f"'{'*' * 11}'", value)


@masks.register(MaskAbout(level=2, fits="date", made="integer"))
def year(value: str) -> str:
    """The year of a date, an integer."""
    return f"cast(extract(year FROM {value}) AS INTEGER)"


@masks.register(MaskAbout(level=1, fits="divisions"))
def town(value: str) -> str:
    """The town (first nine digits) of a 12-digit division code.

    Codes of six or nine digits are coarse already and stay; anything else becomes NULL.
    """
    return f"CASE WHEN regexp_full_match({value}, '[0-9]{{6}}|[0-9]{{9}}|[0-9]{{12}}') THEN substr({value}, 1, 9) END"


@masks.register(MaskAbout(level=3, needs_key=True))
def pseudonym(value: str) -> str:
    """A keyed hash (HMAC-SM3), different for every recipient."""
    return f"pseudonym({value})"


@masks.register(MaskAbout(level=3, needs_key=True, opens=True))
def sealed(value: str) -> str:
    """Sealed with SM4-GCM, under another key for every recipient, who can open it."""
    return f"sealed({value})"


def _where(expected: str, shown: str, hidden: str, value: str) -> str:
    """`shown` for values of the expected shape, `hidden` for all others, NULL for NULL."""
    return f"CASE WHEN {expected} THEN {shown} WHEN {value} IS NOT NULL THEN {hidden} END"
