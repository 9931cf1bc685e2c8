"""Cleaning steps: what may be done to a received text before it is judged. Each is an SQL expression on VARCHAR.

A step takes the expression and the city's code lists. It only repairs spelling, and doing it twice changes nothing
more. It never guesses a value: what cannot be repaired is refused by a rule. A step may mention its text several
times, so the caller gives each step a SELECT of its own instead of nesting expressions.
"""

import re
from collections.abc import Callable, Mapping

from pipelines.codecs import gb11643, gb11714
from pipelines.codecs.sql import literal, literals
from pipelines.verbs import CodeList, Registry

CodeLists = Mapping[str, Mapping[str, str]]
"""For each code list: spelling -> code (aliases and the codes themselves)."""

SPELLING = frozenset({"trim", "half_width", "upper", "null_words", "thousands"})
"""Steps that only repair how people write: they change no date, time or number that its source stored as such."""

steps: Registry[Callable[..., str], None] = Registry("cleaning step")

_FULL_WIDTH = "\u3000" + "".join(chr(code + 0xFEE0) for code in range(0x21, 0x7F))
_HALF_WIDTH = " " + "".join(chr(code) for code in range(0x21, 0x7F))
# RE2's \s knows ASCII only. Also cut: NUL (fixed-width fields), no-break, ideographic and zero-width spaces, BOM.
_SPACE = (
    r"[\s\x{00}\x{0B}\x{85}\x{A0}\x{1680}\x{2000}-\x{200D}\x{2028}\x{2029}\x{202F}\x{205F}\x{2060}\x{3000}\x{FEFF}]"
)
# The middle dot of names is U+00B7 (GB 18030 A1A4); other systems write bullets and Japanese or full-width dots.
_DOTS = "\u2022\u2027\u2219\u22c5\u30fb\uff65\uff0e\u2024"
NULL_WORDS = ("", r"\N", "NULL", "NONE", "N/A", "无", "暂无", "不详", "-", "--", "—", "——", "/")
"""Words that mean "no value", in capitals."""
OPEN_ENDS = ("9999-12-31", "9999-09-09", "2099-12-31", "1899-12-31", "1900-01-01", "长期", "长期有效", "永久")
"""What systems write where there is no date: the last or first day they know, or a word."""
_DAY = r"^([0-9]{4})[-/.]?([0-9]{2})[-/.]?([0-9]{2})([ T][0-9:.Z+-]*)?$"


@steps.register(None)
def trim(text: str, _: CodeLists) -> str:
    """Remove white space at both ends, ideographic, no-break and zero-width space included."""
    trimmed = f"regexp_replace({text}, '^{_SPACE}+|{_SPACE}+$', '', 'g')"
    # Nearly every value begins and ends with a sign of ASCII or a Chinese character, which costs half to see.
    return f"CASE WHEN {_solid(text)} AND {_solid(f'{text}[-1]')} THEN {text} ELSE {trimmed} END"


@steps.register(None)
def half_width(text: str, _: CodeLists) -> str:
    """Full-width digits, letters, signs and the ideographic space become half-width."""
    changed = f"translate({text}, {literal(_FULL_WIDTH)}, {literal(_HALF_WIDTH)})"
    # translate costs 40 times the test, and hardly a value needs it; that of ASCII costs nearly nothing.
    wide = rf"regexp_matches({text}, '[\x{{3000}}\x{{FF01}}-\x{{FF5E}}]')"
    return f"CASE WHEN {_ascii(text)} THEN {text} WHEN {wide} THEN {changed} ELSE {text} END"


@steps.register(None)
def middle_dot(text: str, _: CodeLists) -> str:
    """The dots that stand for the middle dot of a name (• ・ ‧ ．) become `·`, without white space around it."""
    unified = f"translate({text}, {literal(_DOTS)}, {literal('·' * len(_DOTS))})"
    changed = f"regexp_replace({unified}, '{_SPACE}*·{_SPACE}*', '·', 'g')"
    return f"CASE WHEN regexp_matches({text}, '[·{_DOTS}]') THEN {changed} ELSE {text} END"


@steps.register(None)
def upper(text: str, _: CodeLists) -> str:
    """Letters become capitals."""
    return f"upper({text})"


@steps.register(None)
def null_words(text: str, _: CodeLists) -> str:
    """Words that mean "no value" become NULL."""
    # Capitals may have fewer bytes than what they are of, never less than half.
    longest = 2 * max(len(word.encode()) for word in NULL_WORDS)
    word = f"strlen({text}) <= {longest} AND upper({text}) IN ({literals(NULL_WORDS)})"
    return f"CASE WHEN {word} THEN NULL ELSE {text} END"


@steps.register(None)
def gb11643_upgrade(text: str, _: CodeLists) -> str:
    """A 15-digit identity number becomes 18 digits (GB 11643-1999)."""
    return gb11643.upgrade(text)


@steps.register(None)
def organisation_code(text: str, _: CodeLists) -> str:
    """White space and the hyphen before the check digit are removed from an organisation code (GB 11714-1997)."""
    return gb11714.compact(f"regexp_replace({text}, '{_SPACE}', '', 'g')")


@steps.register(None)
def open_end(text: str, _: CodeLists, *, values: list[str] | None = None) -> str:
    """A date that stands for "no date" becomes NULL, however it is written and whatever time of day follows it.

    `values` take the place of `OPEN_ENDS`.
    """
    days = [re.sub(_DAY, r"\1-\2-\3", value) for value in values or OPEN_ENDS]
    return rf"CASE WHEN regexp_replace({text}, '{_DAY}', '\1-\2-\3') IN ({literals(days)}) THEN NULL ELSE {text} END"


@steps.register(None)
def thousands(text: str, _: CodeLists) -> str:
    """Commas between groups of three digits are removed from a number; any other comma stays and is refused."""
    grouped = f"regexp_full_match({text}, '[+-]?[1-9][0-9]{{0,2}}([,，][0-9]{{3}})+([.][0-9]+)?')"
    return f"CASE WHEN {grouped} THEN regexp_replace({text}, '[,，]', '', 'g') ELSE {text} END"


@steps.register(None)
def document_number(text: str, _: CodeLists) -> str:
    """The brackets around the year of a document number become `〔〕`; other brackets stay."""
    year = f"{_SPACE}*([12][0-9]{{3}}){_SPACE}*"
    return rf"regexp_replace({text}, '[(（\[［【〔﹝]{year}[)）\]］】〕﹞]', '〔\1〕', 'g')"


@steps.register(None)
def mobile(text: str, _: CodeLists) -> str:
    """Separators and the country code 86 are removed from a mobile number."""
    return rf"regexp_replace(regexp_replace({text}, '[\s()-]', '', 'g'), '^(\+|00)?86(1[3-9][0-9]{{9}})$', '\2')"


@steps.register(None)
def code_of(text: str, lists: CodeLists, *, codes: CodeList) -> str:
    """A name or alias becomes its code; anything else stays as it is and is judged by the code rule."""
    aliases = {spelling: code for spelling, code in lists[codes].items() if spelling != code}
    if not aliases:
        return text
    pairs = " ".join(f"WHEN {literal(spelling)} THEN {literal(code)}" for spelling, code in aliases.items())
    return f"CASE {text} {pairs} ELSE {text} END"


def _ascii(text: str) -> str:
    """Whether all characters are ASCII: as many bytes as characters."""
    return f"strlen({text}) = length({text})"


def _solid(text: str) -> str:
    """Whether a text begins with a visible sign of ASCII or a Chinese character; texts are compared by their bytes."""
    return f"({text} >= '!' AND {text} < '\x7f' OR {text} >= '\u3400' AND {text} < '\ua000')"


def date_of(text: str) -> str:
    """A DATE from YYYYMMDD, YYYY-M-D, YYYY/M/D or YYYY.M.D; NULL if it is none of these or no calendar date."""
    compact = f"try_cast(substr({text}, 1, 4) || '-' || substr({text}, 5, 2) || '-' || substr({text}, 7, 2) AS DATE)"
    separated = f"try_cast(replace(replace({text}, '/', '-'), '.', '-') AS DATE)"
    one_separator = "|".join(f"[0-9]{{4}}{sign}[0-9]{{1,2}}{sign}[0-9]{{1,2}}" for sign in ("-", "/", "[.]"))
    return (
        f"CASE WHEN starts_with({text}, '0000') THEN NULL "
        f"WHEN regexp_full_match({text}, '[0-9]{{8}}') THEN {compact} "
        f"WHEN regexp_full_match({text}, '{one_separator}') THEN {separated} END"
    )
