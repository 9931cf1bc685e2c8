"""Cleaning steps: what may be done to a received text before it is judged. Each is an SQL expression on VARCHAR.

A step takes the expression and the city's code lists. It only repairs spelling, and doing it twice changes nothing
more. It never guesses a value: what cannot be repaired is refused by a rule. A step may mention its text several
times, so the caller gives each step a SELECT of its own instead of nesting expressions.

Hardly a value needs repair, and a repair costs far more than a look. So each step is registered with the shape of the
texts that it may change, and the caller looks for all shapes of a column at once.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated

from pydantic import Field

from pipelines.codecs import gb11643, gb11714
from pipelines.codecs.local_time import instant, of_our_era
from pipelines.codecs.sql import literal, literals
from pipelines.codecs.texts import ANY_LENGTH, Shape, each
from pipelines.verbs import CodeList, Registry

CodeLists = Mapping[str, Mapping[str, str]]
"""For each code list: spelling -> code (aliases and the codes themselves)."""

Places = Annotated[int, Field(ge=0, le=15)]
"""How many decimals a number has."""

SPELLING = frozenset({"trim", "half_width", "upper", "null_words", "thousands", "percent"})
"""Steps that only repair how people write: they change no date, time or number that its source stored as such."""

Shaped = Callable[..., Shape]
"""From the code lists and the arguments of a step: the shape of all texts that it may change, and of some others."""

steps: Registry[Callable[..., str], Shaped] = Registry("cleaning step")

_FULL_WIDTH = "\u3000" + "".join(chr(code + 0xFEE0) for code in range(0x21, 0x7F))
_HALF_WIDTH = " " + "".join(chr(code) for code in range(0x21, 0x7F))
# RE2's \s knows ASCII only. Also cut: NUL (fixed-width fields), no-break, ideographic and zero-width spaces, BOM.
_SPACE = (
    r"[\s\x{00}\x{0B}\x{85}\x{A0}\x{1680}\x{2000}-\x{200D}\x{2028}\x{2029}\x{202F}\x{205F}\x{2060}\x{3000}\x{FEFF}]"
)
_SPACES = (
    "\0\0\t\r  \x85\x85\xa0\xa0\u1680\u1680\u2000\u200d\u2028\u2029\u202f\u202f\u205f\u2060\u3000\u3000\ufeff\ufeff"
)
"""The same as ranges of signs."""
_HYPHENS = "-‐–—−－"
# The middle dot of names is U+00B7 (GB 18030 A1A4); other systems write bullets and Japanese or full-width dots.
_DOTS = "\u2022\u2027\u2219\u22c5\u30fb\uff65\uff0e\u2024"
NULL_WORDS = ("", r"\N", "NULL", "NONE", "N/A", "无", "暂无", "不详", "-", "--", "—", "——", "/")
"""Words that mean "no value", in capitals."""
OPEN_ENDS = ("9999-12-31", "9999-09-09", "2099-12-31", "1899-12-31", "1900-01-01", "长期", "长期有效", "永久")
"""What systems write where there is no date: the last or first day they know, or a word."""
NOTHING = r"[^\x{0}-\x{10FFFF}]"
"""The pattern that no text has."""
_DAY = r"^([0-9]{4})[-/.]?([0-9]{2})[-/.]?([0-9]{2})([ T][0-9:.Z+-]*)?$"


def _always(pattern: str, signs: str | None, lengths: range = ANY_LENGTH, prefixes: tuple[str, ...] = ()) -> Shaped:
    """A shape that depends on nothing."""
    shape = Shape(pattern, signs, prefixes, lengths)
    return lambda *_, **__: shape


@steps.register(_always(f"{_SPACE}.*|.*{_SPACE}", _SPACES))
def trim(text: str, _: CodeLists) -> str:
    """Remove white space at both ends, ideographic, no-break and zero-width space included."""
    return f"regexp_replace({text}, '^{_SPACE}+|{_SPACE}+$', '', 'g')"


@steps.register(_always(r".*[\x{3000}\x{FF01}-\x{FF5E}].*", "\u3000\u3000\uff01\uff5e"))
def half_width(text: str, _: CodeLists) -> str:
    """Full-width digits, letters, signs and the ideographic space become half-width."""
    return f"translate({text}, {literal(_FULL_WIDTH)}, {literal(_HALF_WIDTH)})"


@steps.register(_always(f".*[·{_DOTS}].*", each("·" + _DOTS)))
def middle_dot(text: str, _: CodeLists) -> str:
    """The dots that stand for the middle dot of a name (• ・ ‧ ．) become `·`, without white space around it."""
    unified = f"translate({text}, {literal(_DOTS)}, {literal('·' * len(_DOTS))})"
    return f"regexp_replace({unified}, '{_SPACE}*·{_SPACE}*', '·', 'g')"


@steps.register(_always(r".*([a-z]|[^\x00-\x7F\x{3000}-\x{9FFF}]).*", "az\x80\u2fff\ua000\U0010ffff"))
def upper(text: str, _: CodeLists) -> str:
    """Letters become capitals."""
    return f"upper({text})"


# Each word but the empty one has one of these signs, and at most 6 bytes.
@steps.register(_always(f"(?i:{'|'.join(map(re.escape, NULL_WORDS))})", each(r"\Nn无不-—/"), range(7)))
def null_words(text: str, _: CodeLists) -> str:
    """Words that mean "no value" become NULL."""
    return f"CASE WHEN upper({text}) IN ({literals(NULL_WORDS)}) THEN NULL ELSE {text} END"


@steps.register(_always("[1-9][0-9]{14}", None, range(15, 16)))
def gb11643_upgrade(text: str, _: CodeLists) -> str:
    """A 15-digit identity number becomes 18 digits (GB 11643-1999)."""
    return gb11643.upgrade(text)


@steps.register(_always(f".*({_SPACE}|[{_HYPHENS}]).*", _SPACES + each(_HYPHENS)))
def organisation_code(text: str, _: CodeLists) -> str:
    """White space and the hyphen before the check digit are removed from an organisation code (GB 11714-1997)."""
    return gb11714.compact(f"regexp_replace({text}, '{_SPACE}', '', 'g')")


def _open_ends(_: CodeLists, *, values: list[str] | None = None) -> Shape:
    separated, ends = r"\1[-/.]?\2[-/.]?\3([ T][0-9:.Z+-]*)?", values or OPEN_ENDS
    days = (re.sub(_DAY, separated, value) if re.match(_DAY, value) else re.escape(value) for value in ends)
    return Shape("|".join(days), "", tuple(value[:4] for value in ends))


def open_ends(values: list[str] | None = None) -> list[str]:
    """What stands for "no date", days as YYYY-MM-DD."""
    return [re.sub(_DAY, r"\1-\2-\3", value) for value in values or OPEN_ENDS]


@steps.register(_open_ends)
def open_end(text: str, _: CodeLists, *, values: list[str] | None = None) -> str:
    """A date that stands for "no date" becomes NULL, however it is written and whatever time of day follows it.

    `values` take the place of `OPEN_ENDS`.
    """
    days = open_ends(values)
    return rf"CASE WHEN regexp_replace({text}, '{_DAY}', '\1-\2-\3') IN ({literals(days)}) THEN NULL ELSE {text} END"


@steps.register(_always(".*[,，].*", each(",，")))
def thousands(text: str, _: CodeLists) -> str:
    """Commas between groups of three digits are removed from a number; any other comma stays and is refused."""
    grouped = f"regexp_full_match({text}, '[+-]?[1-9][0-9]{{0,2}}([,，][0-9]{{3}})+([.][0-9]+)?')"
    return f"CASE WHEN {grouped} THEN regexp_replace({text}, '[,，]', '', 'g') ELSE {text} END"


@steps.register(_always(r"[+-]?[0-9.]+ *[%％]", each("%％")))
def percent(text: str, _: CodeLists, *, fraction: bool = False) -> str:
    """A percentage becomes a number of percent, 12.5% is 12.5; as a `fraction`, 0.125. Anything else stays.

    Columns whose unit is % have this step by themselves.
    """
    said = f"regexp_full_match({text}, '[+-]?([0-9]{{1,15}}([.][0-9]{{0,15}})?|[.][0-9]{{1,15}}) *[%％]')"
    number = f"regexp_replace({text}, ' *[%％]$', '')"
    if fraction:
        number = f"cast(try_cast({number} AS DECIMAL(30, 15)) * 0.01 AS VARCHAR)"
    return f"CASE WHEN {said} THEN {number} ELSE {text} END"


@steps.register(_always(r".*[.][0-9]{7,}.*", each("."), range(8, ANY_LENGTH.stop)))
def microseconds(text: str, _: CodeLists) -> str:
    """What a time says beyond microseconds is cut off: 08:00:00.1234567 as some databases write it. Else such a text is
    refused, for no time keeps it."""
    return rf"regexp_replace({text}, '(:[0-9]{{2}}[.][0-9]{{6}})[0-9]+', '\1')"


def _rounded(_: CodeLists, *, places: Places) -> Shape:
    return Shape(rf"[+-]?[0-9]*[.][0-9]{{{places + 1},}}", each("."), (), range(places + 2, ANY_LENGTH.stop))


@steps.register(_rounded)
def rounded(text: str, _: CodeLists, *, places: Places) -> str:
    """A number with more than `places` decimals is rounded to so many, half away from 0; one of more than 20 digits
    before the point stays. For sources that write more digits than they mean: 33.33333333333333333333."""
    longer = f"regexp_full_match({text}, '[+-]?[0-9]{{0,20}}[.][0-9]{{{places + 1},}}')"
    short = f"coalesce(cast(try_cast({text} AS DECIMAL(38, {places})) AS VARCHAR), {text})"
    return f"CASE WHEN {longer} THEN {short} ELSE {text} END"


@steps.register(_always(r".*[(（\[［【〔﹝].*", each("(（[［【〔﹝")))
def document_number(text: str, _: CodeLists) -> str:
    """The brackets around the year of a document number become `〔〕`; other brackets stay."""
    year = f"{_SPACE}*([12][0-9]{{3}}){_SPACE}*"
    return rf"regexp_replace({text}, '[(（\[［【〔﹝]{year}[)）\]］】〕﹞]', '〔\1〕', 'g')"


@steps.register(_always(r".*[\s()+-].*|(00)?86.*", "\t\r  " + each("()+-"), prefixes=("86", "0086")))
def mobile(text: str, _: CodeLists) -> str:
    """Separators and the country code 86 are removed from a mobile number."""
    return rf"regexp_replace(regexp_replace({text}, '[\s()-]', '', 'g'), '^(\+|00)?86(1[3-9][0-9]{{9}})$', '\2')"


def _spellings(lists: CodeLists, codes: str) -> dict[str, str]:
    """What has to be replaced: spellings other than the codes themselves, each with its code."""
    return {spelling: code for spelling, code in lists[codes].items() if spelling != code}


def _alias(lists: CodeLists, *, codes: str) -> Shape:
    """Texts that begin as an alias does: a list may have thousands, with few first characters."""
    first = sorted({spelling[:1] for spelling in _spellings(lists, codes)})
    return Shape(f"[{''.join(map(re.escape, first))}].*" if first else NOTHING, "", tuple(first))


@steps.register(_alias)
def code_of(text: str, lists: CodeLists, *, codes: CodeList) -> str:
    """An alias becomes its code; anything else stays as it is and is judged by the code rule."""
    pairs = "".join(
        f" WHEN {literal(spelling)} THEN {literal(code)}" for spelling, code in _spellings(lists, codes).items()
    )
    return f"CASE {text}{pairs} ELSE {text} END" if pairs else text


def date_of(text: str) -> str:
    """A DATE from YYYYMMDD, YYYY-M-D, YYYY/M/D, YYYY.M.D, YYYY年M月D日; NULL if it is none of these or no such day.

    Midnight may follow: databases that know no days write it behind each. Another time of day is more than a date says.
    The usual way to write a day is looked for by itself: GLOB finds it in a fifth of the time.
    """
    usual = f"{text} GLOB '{'-'.join('[0-9]' * width for width in (4, 2, 2))}'"
    compact = f"try_cast(substr({text}, 1, 4) || '-' || substr({text}, 5, 2) || '-' || substr({text}, 7, 2) AS DATE)"
    signs = (("-", "-", ""), ("/", "/", ""), ("[.]", "[.]", ""), ("年", "月", "日"))
    days = "|".join(f"[0-9]{{4}}{first}[0-9]{{1,2}}{then}[0-9]{{1,2}}{end}" for first, then, end in signs)
    shape = f"({days})([ T]0?0:00(:00([.]0+)?)?)?"
    parts = f"regexp_extract({text}, '^([0-9]+)[^0-9]([0-9]+)[^0-9]([0-9]+)', ['y', 'm', 'd'])"
    separated = f"try_cast(concat_ws('-', {parts}.y, {parts}.m, {parts}.d) AS DATE)"
    return (
        f"CASE WHEN starts_with({text}, '0000') THEN NULL WHEN {usual} THEN try_cast({text} AS DATE) "
        f"WHEN regexp_full_match({text}, '[0-9]{{8}}') THEN {compact} "
        f"WHEN regexp_full_match({text}, '{shape}') THEN {separated} END"
    )


def integer_of(text: str) -> str:
    """A BIGINT from digits, with a sign or `.0` behind them; NULL for all else: DuckDB would round 3.5 to 4, read 0x1F
    and 1_000, and make a whole number of 1.38E+10, which is what a spreadsheet leaves of a longer one.

    The usual way to write a number is how it prints: to compare that costs a third of asking a pattern.
    """
    number = f"try_cast({text} AS BIGINT)"
    plain = f"regexp_full_match({text}, ' *[+-]?[0-9]+([.]0*)? *')"
    return f"CASE WHEN cast({number} AS VARCHAR) = {text} THEN {number} WHEN {plain} THEN {number} END"


def number_of(text: str) -> str:
    """A DOUBLE; NULL for NaN and infinity, which would make every sum what they are, for 1_000, and for what a DOUBLE
    cannot keep: a number that it would print with other digits, as 1e-400 or 12345678901234567.89. There is no -0.

    Numbers of 15 digits are kept, but for those so small that a DOUBLE has fewer digits for them.
    """
    number = f"try_cast({text} AS DOUBLE)"
    short = f"strlen({text}) <= 15 AND abs({number}) > 1e-300"
    kept = f"{_digits(text)} = {_digits(f'cast({number} AS VARCHAR)')}"
    read = f"isfinite({number}) AND NOT contains({text}, '_')"
    return f"CASE WHEN {read} AND (({short}) OR {kept}) THEN {number} + 0.0 END"


def _digits(number: str) -> str:
    """The digits of a number from the first to the last that is not 0. Of two numbers that are nearly the same, they
    differ if the numbers do."""
    return f"trim(regexp_replace({number}, '[eE].*|[^0-9]', '', 'g'), '0')"


def time_of(text: str, zone: str) -> str:
    """A TIMESTAMPTZ from a day, with a time of day behind it or not. One with an offset keeps it, another is of `zone`.
    Also from 20240501080000, and 2024年5月1日 8:00 or 8时00分.

    NULL for all else: DuckDB would take 24-05-01 for a day of the year 24 and read over UTC behind a time. NULL too for
    offsets that no clock has, for what is not in the years 1 to 9999 of UTC: nothing else could read it; and for more
    than microseconds, which would be cut off.
    """
    usual = f"{text} GLOB '{'-'.join('[0-9]' * width for width in (4, 2, 2))} {':'.join(['[0-9][0-9]'] * 3)}'"
    inside = f"{text} BETWEEN '0001-01-02' AND '9999-12-31'"
    day, clock = "[0-9]{4}[-/][0-9]{1,2}[-/][0-9]{1,2}", "[ T][0-9:.]+"
    offset = "Z|[+-](0[0-9]|1[0-4])(:?[0-5][0-9])?"
    here = instant(f"try_cast({text} AS TIMESTAMP)", zone)
    parts = "', '".join(["y", "m", "d", "h", "i", "s"])
    digits = f"regexp_extract({text}, '^(....)(..)(..)(..)(..)(..)$', ['{parts}'])"
    compact = f"try_cast({_day_and_time(digits)} AS TIMESTAMP)"
    spoken = "[0-9]{4}年[0-9]{1,2}月[0-9]{1,2}日"
    at = "[0-9]{1,2}(:[0-9]{2}){1,2}([.][0-9]+)?|[0-9]{1,2}时([0-9]{1,2}分([0-9]{1,2}秒)?)?"
    said = (
        f"regexp_extract({text}, '([0-9]+)年([0-9]+)月([0-9]+)日 *([0-9]*)[:时]?([0-9]*)[:分]?([0-9.]*)', ['{parts}'])"
    )
    return (
        f"CASE WHEN {usual} AND {inside} THEN {here} WHEN regexp_matches({text}, '[.][0-9]{{6}}[0-9]*[1-9]') THEN NULL "
        f"WHEN regexp_full_match({text}, '[0-9]{{14}}') THEN {of_our_era(instant(compact, zone))} "
        f"WHEN regexp_full_match({text}, ' *{spoken} *({at})? *') "
        f"THEN {of_our_era(instant(f'try_cast({_day_and_time(said)} AS TIMESTAMP)', zone))} "
        f"WHEN regexp_full_match({text}, ' *{day}{clock}({offset}) *') "
        f"THEN {of_our_era(f'try_cast({text} AS TIMESTAMPTZ)')} "
        f"WHEN regexp_full_match({text}, ' *{day}({clock})? *') THEN {of_our_era(here)} END"
    )


def _day_and_time(parts: str) -> str:
    """The text of a day and a time of day, from its parts; what is not told of the time is 0."""
    clock = ", ".join(f"coalesce(nullif({parts}.{name}, ''), '0')" for name in "his")
    return f"concat(concat_ws('-', {parts}.y, {parts}.m, {parts}.d), ' ', concat_ws(':', {clock}))"


def touched(text: str, shapes: Iterable[Shape]) -> str:
    """The condition that a text has one of some shapes; NULL for NULL.

    DuckDB asks this function once for each different value where the file keeps a dictionary of them, which it does not
    do for regexp_matches, comparisons or CASE: 4 ns a value instead of 60.
    """
    pattern = "|".join(shape.pattern for shape in shapes)
    return f"regexp_full_match({text}, {literal(f'(?s:{pattern})')})"
