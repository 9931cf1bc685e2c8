"""Rules of one row: its values, and its columns among each other. Identifiers have rules of their own."""

from datetime import timedelta
from typing import Literal

from pipelines.codecs import numbers
from pipelines.codecs.sql import identifier, literal, literals
from pipelines.codecs.texts import Shape
from pipelines.contracts.forms.words import GeometryKind
from pipelines.contracts.rules.base import Bound, Context, Dimension, Kind, Pattern, Values, day, days_after_today, row
from pipelines.verbs import CodeList, Column, VerbError

_CUT = r"-?\d+(\.\d+)?E\+\d{2,3}"
"""How a workbook shows a number of more than 11 digits, and writes it into CSV: 6.22202E+18."""
_ERRORS = r"#N/A|#NAME\?|#GETTING_DATA|#(DIV/0|REF|VALUE|NUM|NULL|SPILL|CALC|FIELD|BLOCKED|UNKNOWN|CONNECT|BUSY)!"
"""What a cell of a workbook shows that holds no value."""
_NO_RESULT = "#NO_RESULT!(?s:.*)"
"""How a formula whose result was not kept is read, by `connectors.formats.percent_cells`."""
NOT_WHOLE = Shape(f"{_CUT}|{_ERRORS}|{_NO_RESULT}", "#+")
"""What `cell_whole` refuses, and by what bytes to tell most other texts."""
# Unified ideographs by block, not by the Unicode tables of one RE2 release: 〇, extension A, the basic block, and the
# planes of extensions B to J. Radicals, compatibility forms and private-use characters are look-alikes, not names.
_HAN = r"[\x{3007}\x{3400}-\x{4DBF}\x{4E00}-\x{9FFF}\x{20000}-\x{3FFFF}]"
CHINESE_NAME = f"({_HAN}+·)+{_HAN}+|{_HAN}{{2,}}"


@row(Kind.COMPLETENESS, Dimension.COMPLETENESS)
def required(_: Context, *, column: Column) -> str:
    """The value is there."""
    return f"{identifier(column)} IS NOT NULL"


@row(Kind.FORMAT, Dimension.NORMALISATION)
def max_length(_: Context, *, column: Column, length: int) -> str:
    """At most `length` characters."""
    return f"length({identifier(column)}) <= {length}"


@row(Kind.FORMAT, Dimension.NORMALISATION)
def matches(_: Context, *, column: Column, pattern: Pattern) -> str:
    """The whole value matches an RE2 pattern."""
    return f"regexp_full_match({identifier(column)}, {literal(pattern)})"


@row(Kind.CODE, Dimension.NORMALISATION)
def in_codes(context: Context, *, column: Column, codes: CodeList) -> str:
    """The value is a code of the list."""
    return f"{identifier(column)} IN ({literals(sorted(context.lists[codes]))})"


@row(Kind.RANGE, Dimension.ACCURACY)
def between(context: Context, *, column: Column, minimum: Bound | None = None, maximum: Bound | None = None) -> str:
    """Not below `minimum` and not above `maximum`; dates as ISO text, `today`, `tomorrow` or `today+N` days.

    Raises VerbError if neither bound is given.
    """
    bounds = ((">=", minimum), ("<=", maximum))
    tests = [f"{identifier(column)} {sign} {bound(context, one)}" for sign, one in bounds if one is not None]
    if not tests:
        raise VerbError("arguments.no_bound")
    return " AND ".join(tests)


@row(Kind.FORMAT, Dimension.NORMALISATION)
def phone(_: Context, *, column: Column, kind: Literal["mobile", "any"] = "mobile") -> str:
    """A mobile number; of `any` kind, also a fixed line with its area code."""
    number = identifier(column)
    mobile = numbers.mobile(number)
    return mobile if kind == "mobile" else f"{mobile} OR {numbers.fixed_line(number)}"


@row(Kind.FORMAT, Dimension.NORMALISATION)
def plate(_: Context, *, column: Column) -> str:
    """The plate of a vehicle (GA 36)."""
    return numbers.plate(identifier(column))


@row(Kind.FORMAT, Dimension.NORMALISATION)
def not_masked(_: Context, *, column: Column) -> str:
    """No character of the value is hidden behind an asterisk."""
    return f"NOT regexp_matches({identifier(column)}, '[*＊]')"


@row(Kind.FORMAT, Dimension.ACCURACY)
def cell_whole(_: Context, *, column: Column) -> str:
    """The value is what somebody entered into a workbook: no number of which it shows the first digits only, as
    identifiers typed into one are (in CSV saved from one too), no error such as #N/A, and no formula whose result was
    not kept."""
    return f"NOT regexp_full_match({identifier(column)}, '{NOT_WHOLE.pattern}')"


@row(Kind.FORMAT, Dimension.ACCURACY)
def not_test(_: Context, *, column: Column) -> str:
    """The value does not say that the row is a test: it neither begins with 测试 or test nor ends with （测试）.

    A firm may well test something for its living, so the word alone proves nothing.
    """
    return f"NOT regexp_matches({identifier(column)}, '(?i)^(测试|test)|[(（]测试[)）]$')"


@row(Kind.COMPLETENESS, Dimension.COMPLETENESS)
def requires(_: Context, *, column: Column, when: Column, values: Values) -> str:
    """The value is there where `when` is one of `values`, compared as text; NULL elsewhere."""
    asked = f"cast({identifier(when)} AS VARCHAR) IN ({literals(values)})"
    return f"CASE WHEN {asked} THEN {identifier(column)} IS NOT NULL END"


@row(Kind.COMPLETENESS, Dimension.COMPLETENESS)
def present_with(_: Context, *, column: Column, other: Column) -> str:
    """The value is there where `other` has one; NULL elsewhere."""
    return f"CASE WHEN {identifier(other)} IS NOT NULL THEN {identifier(column)} IS NOT NULL END"


@row(Kind.COMPLETENESS, Dimension.COMPLETENESS)
def one_of_present(_: Context, *, columns: list[Column]) -> str:
    """At least one of `columns` has a value."""
    return " OR ".join(f"{identifier(name)} IS NOT NULL" for name in columns)


@row(Kind.CONSISTENCY, Dimension.CONSISTENCY)
def ordered(context: Context, *, earlier: Column, later: Column) -> str:
    """`earlier` is not after `later`; a date and a time are compared by the day. NULL if one of them is missing."""
    first, second = identifier(earlier), identifier(later)
    mixed = f"typeof({first}) <> typeof({second}) AND 'DATE' IN (typeof({first}), typeof({second}))"
    by_day = f"{day(context, earlier)} <= {day(context, later)}"
    return f"CASE WHEN {mixed} THEN {by_day} ELSE {first} <= {second} END"


@row(Kind.CONSISTENCY, Dimension.CONSISTENCY)
def differs(_: Context, *, column: Column, other: Column) -> str:
    """The two values are not the same; NULL if one of them is missing."""
    return f"{identifier(column)} <> {identifier(other)}"


@row(Kind.CONSISTENCY, Dimension.CONSISTENCY)
def age_at_least(context: Context, *, birth: Column, at: Column, years: int) -> str:
    """Whoever was born on `birth` is `years` old on the day of `at`; NULL if one of them is missing.

    An age is reached on the birthday, and by those born on 29 February on the last day of February (Civil Code, 202).
    """
    reached = f"cast({day(context, birth)} + to_years({years}) AS DATE)"
    return f"{reached} <= {day(context, at)}"


@row(Kind.CONSISTENCY, Dimension.CONSISTENCY)
def part_of_whole(_: Context, *, part: Column, whole: Column, when: Column, values: Values) -> str:
    """`part` is not more than `whole` where `when` is one of `values`: no share is above 100 %."""
    asked = f"cast({identifier(when)} AS VARCHAR) IN ({literals(values)})"
    return f"CASE WHEN {asked} THEN {identifier(part)} <= {identifier(whole)} END"


@row(Kind.CONSISTENCY, Dimension.CONSISTENCY)
def adds_up(_: Context, *, column: Column, parts: list[Column]) -> str:
    """The value is the sum of `parts`, to six decimals; a part without a value adds nothing. NULL for no value."""
    total = " + ".join(f"coalesce({identifier(name)}, 0)" for name in parts)
    return f"abs({identifier(column)} - ({total})) < 0.000001"


@row(Kind.CONSISTENCY, Dimension.CONSISTENCY)
def told_in_text(_: Context, *, column: Column, text: Column, per: int) -> str:
    """The amount is one of those that the text states in 元 or 万元; `per` is the column's unit in 元.

    It tells an amount in 元 from one in 万元. NULL if there is no amount in the text.
    """
    amounts = f"regexp_extract_all({identifier(text)}, '[0-9]+(?:[.][0-9]+)?万?元')"
    number = "try_cast(regexp_extract(a, '[0-9.]+') AS DOUBLE)"
    stated = f"list_transform({amounts}, lambda a: round({number} * if(contains(a, '万'), 10000, 1)))"
    return f"CASE WHEN len({amounts}) > 0 THEN list_contains({stated}, round({identifier(column)} * {per})) END"


@row(Kind.FORMAT, Dimension.NORMALISATION)
def chinese_name(_: Context, *, column: Column) -> str:
    """Two or more Chinese characters (extension planes included); single middle dots may stand between them."""
    return f"regexp_full_match({identifier(column)}, '{CHINESE_NAME}')"


@row(Kind.FORMAT, Dimension.NORMALISATION)
def wkt(_: Context, *, column: Column, geometry: GeometryKind) -> str:
    """Well-known text of one or several geometries of a kind; coordinates have the size of longitude and latitude."""
    position = r"-?[0-9]{1,3}(\.[0-9]+)? -?[0-9]{1,2}(\.[0-9]+)?"
    line = rf"\({position}(, ?{position})+\)"
    ring = rf"\({position}(, ?{position}){{3,}}\)"
    polygon = rf"\({ring}(, ?{ring})*\)"
    pattern = {
        "point": rf"POINT ?\({position}\)",
        "line": rf"LINESTRING ?{line}|MULTILINESTRING ?\({line}(, ?{line})*\)",
        "polygon": rf"POLYGON ?{polygon}|MULTIPOLYGON ?\({polygon}(, ?{polygon})*\)",
    }[geometry]
    return f"regexp_full_match({identifier(column)}, {literal(pattern)})"


@row(Kind.CONSISTENCY, Dimension.CONSISTENCY)
def same_part(_: Context, *, column: Column, other: Column, length: int, start: int = 1, other_start: int = 1) -> str:
    """`length` characters of the value from `start` on are those of `other` from `other_start` on."""
    mine, theirs = (
        f"substr({identifier(name)}, {first}, {length})" for name, first in ((column, start), (other, other_start))
    )
    return f"{mine} = {theirs}"


def bound(context: Context, told: Bound) -> str:
    """A bound of `between` as SQL."""
    days = days_after_today(told)
    if days is None:
        return literal(told)
    if context.today is None:
        return f"current_date + {days}"
    return literal((context.today + timedelta(days=days)).isoformat())
