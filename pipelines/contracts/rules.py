"""Rule verbs: what a contract may demand of a row or of a table, compiled to SQL.

The same rules judge rows at admission, candidates at the gate and, translated, the Great Expectations suite. A row
rule is a predicate: true, false, or NULL where it does not apply. A table rule counts violations in one scalar query.
A history rule is a query for those new events (`_row`) that contradict what other events say; admission asks it of an
append load, with the batch as `relation` and the events in core as `previous`.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from functools import cache
from typing import Annotated, Any, Literal

import duckdb
from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from pipelines.codecs import certificate, gb11643, gb11714, gb32100, numbers
from pipelines.codecs.sql import identifier, literal, literals, where
from pipelines.verbs import CodeList, Column, Model, Registry, SharedColumn, VerbError

# Unified ideographs by block, not by the Unicode tables of one RE2 release: 〇, extension A, the basic block, and the
# planes of extensions B to J. Radicals, compatibility forms and private-use characters are look-alikes, not names.
_HAN = r"[\x{3007}\x{3400}-\x{4DBF}\x{4E00}-\x{9FFF}\x{20000}-\x{3FFFF}]"


_RELATIVE = re.compile(r"tomorrow|today(?:\+([1-9][0-9]{0,3}))?")


class Kind(StrEnum):
    """What a failing row is called in reports."""

    COMPLETENESS = "completeness"
    FORMAT = "format"
    CODE = "code"
    RANGE = "range"
    CHECK_DIGIT = "check_digit"
    CONSISTENCY = "consistency"
    DUPLICATE = "duplicate"
    VOLUME = "volume"


class Dimension(StrEnum):
    """Five of the six quality characteristics of GB/T 36344-2018; the sixth, 可访问性, is measured on the services."""

    NORMALISATION = "规范性"
    COMPLETENESS = "完整性"
    ACCURACY = "准确性"
    CONSISTENCY = "一致性"
    TIMELINESS = "时效性"


@dataclass(frozen=True)
class RuleAbout:
    """What a rule verb is: the kind of defect it finds, the quality it measures, and what it looks at."""

    kind: Kind
    dimension: Dimension
    scope: Literal["row", "table", "history"] = "row"


@dataclass(frozen=True)
class Context:
    """What rules may look at besides the row.

    `lists`: code list -> codes. `today`: the day of the edition; None means the day the statement runs, for exported
    contracts only. `relation`: SQL of the judged table. `previous`: SQL of the last released version or None.
    `confirmed`: the number of rows that a steward said is right since that release. `models`: SQL of other models of
    the edition by name. `timezone`: where a point in time has its day; all of China has one.
    """

    lists: Mapping[str, frozenset[str]]
    today: date | None
    relation: str = ""
    previous: str | None = None
    confirmed: int | None = None
    models: Mapping[str, str] = field(default_factory=dict)
    timezone: str = "Asia/Shanghai"


rules: Registry[Callable[..., str], RuleAbout] = Registry("rule")

Bound = int | float | str


@cache
def _accepted(pattern: str) -> bool:
    try:
        duckdb.execute(f"SELECT regexp_full_match('', {literal(pattern)})")
    except duckdb.Error:
        return False
    return True


def _check_pattern(pattern: str) -> str:
    if not _accepted(pattern):
        raise PydanticCustomError("pattern", "not an RE2 pattern")
    return pattern


Pattern = Annotated[str, AfterValidator(_check_pattern)]
"""A regular expression that DuckDB (RE2) accepts: no look-around, no back references."""

Values = Annotated[list[str], Field(min_length=1)]
"""Some values, as text."""


@dataclass(frozen=True)
class Rule:
    """One rule of one contract, with bound arguments. `id` is unique in the contract."""

    id: str
    verb: str
    columns: tuple[str, ...]
    arguments: Mapping[str, Any]

    @property
    def about(self) -> RuleAbout:
        """Kind, dimension and scope."""
        return rules[self.verb].about

    def sql(self, context: Context) -> str:
        """The predicate of a row rule, the count of violations of a table rule, or the query of a history rule."""
        return rules[self.verb].function(context, **self.arguments)


def _row(kind: Kind, dimension: Dimension) -> Callable[[Callable[..., str]], Callable[..., str]]:
    return rules.register(RuleAbout(kind, dimension))


def _table(kind: Kind, dimension: Dimension) -> Callable[[Callable[..., str]], Callable[..., str]]:
    return rules.register(RuleAbout(kind, dimension, "table"))


def _history(kind: Kind, dimension: Dimension) -> Callable[[Callable[..., str]], Callable[..., str]]:
    return rules.register(RuleAbout(kind, dimension, "history"))


@_row(Kind.COMPLETENESS, Dimension.COMPLETENESS)
def required(_: Context, *, column: Column) -> str:
    """The value is there."""
    return f"{identifier(column)} IS NOT NULL"


@_row(Kind.FORMAT, Dimension.NORMALISATION)
def max_length(_: Context, *, column: Column, length: int) -> str:
    """At most `length` characters."""
    return f"length({identifier(column)}) <= {length}"


@_row(Kind.FORMAT, Dimension.NORMALISATION)
def matches(_: Context, *, column: Column, pattern: Pattern) -> str:
    """The whole value matches an RE2 pattern."""
    return f"regexp_full_match({identifier(column)}, {literal(pattern)})"


@_row(Kind.CODE, Dimension.NORMALISATION)
def in_codes(context: Context, *, column: Column, codes: CodeList) -> str:
    """The value is a code of the list."""
    return f"{identifier(column)} IN ({literals(sorted(context.lists[codes]))})"


@_row(Kind.RANGE, Dimension.ACCURACY)
def between(context: Context, *, column: Column, minimum: Bound | None = None, maximum: Bound | None = None) -> str:
    """Not below `minimum` and not above `maximum`; dates as ISO text, `today`, `tomorrow` or `today+N` days.

    Raises VerbError if neither bound is given.
    """
    bounds = ((">=", minimum), ("<=", maximum))
    tests = [f"{identifier(column)} {sign} {_bound(context, bound)}" for sign, bound in bounds if bound is not None]
    if not tests:
        raise VerbError("arguments.no_bound")
    return " AND ".join(tests)


@_row(Kind.FORMAT, Dimension.NORMALISATION)
def gb11643_format(_: Context, *, column: Column) -> str:
    """18 characters as GB 11643-1999 writes them."""
    return gb11643.well_formed(identifier(column))


@_row(Kind.CHECK_DIGIT, Dimension.ACCURACY)
def gb11643_check_digit(_: Context, *, column: Column) -> str:
    """The check digit of GB 11643-1999; NULL if the format is wrong."""
    return gb11643.check_digit_right(identifier(column))


@_row(Kind.FORMAT, Dimension.ACCURACY)
def gb11643_content(_: Context, *, column: Column) -> str:
    """A province and a calendar date stand in the number; NULL if the check digit is wrong."""
    return gb11643.content_right(identifier(column))


@_row(Kind.CONSISTENCY, Dimension.CONSISTENCY)
def birth_date_matches_id(_: Context, *, id: Column, birth: Column) -> str:
    """The date of birth is the one in the identity number; NULL if the number is wrong."""
    return gb11643.born_on(identifier(id), identifier(birth))


@_row(Kind.CONSISTENCY, Dimension.CONSISTENCY)
def sex_matches_id(_: Context, *, id: Column, sex: Column) -> str:
    """Sex 1 or 2 is the parity of the identity number; 0 and 9 say nothing and pass."""
    column = identifier(sex)
    return where(gb11643.of_sex(identifier(id), column), f"{column} IN ('1', '2')")


@_row(Kind.FORMAT, Dimension.NORMALISATION)
def gb32100_format(_: Context, *, column: Column) -> str:
    """18 characters as GB 32100-2015 writes them."""
    return gb32100.well_formed(identifier(column))


@_row(Kind.CHECK_DIGIT, Dimension.ACCURACY)
def gb32100_check_digit(_: Context, *, column: Column) -> str:
    """The check character of GB 32100-2015, and that of the organisation code inside; NULL if the format is wrong."""
    return gb32100.check_digits_right(identifier(column))


@_row(Kind.FORMAT, Dimension.NORMALISATION)
def gb11714_format(_: Context, *, column: Column) -> str:
    """9 characters as GB 11714-1997 writes them, without the hyphen."""
    return gb11714.well_formed(identifier(column))


@_row(Kind.CHECK_DIGIT, Dimension.ACCURACY)
def gb11714_check_digit(_: Context, *, column: Column) -> str:
    """The check digit of GB 11714-1997; NULL if the format is wrong."""
    return gb11714.check_digit_right(identifier(column))


@_row(Kind.FORMAT, Dimension.NORMALISATION)
def certificate_format(_: Context, *, column: Column) -> str:
    """The identifier of an electronic certificate as GB/T 36904-2018 writes it."""
    return certificate.well_formed(identifier(column))


@_row(Kind.CHECK_DIGIT, Dimension.ACCURACY)
def certificate_check_digit(_: Context, *, column: Column) -> str:
    """The check character of GB/T 36904-2018; NULL if the format is wrong."""
    return certificate.check_character_right(identifier(column))


@_row(Kind.FORMAT, Dimension.NORMALISATION)
def phone(_: Context, *, column: Column, kind: Literal["mobile", "any"] = "mobile") -> str:
    """A mobile number; of `any` kind, also a fixed line with its area code."""
    number = identifier(column)
    mobile = numbers.mobile(number)
    return mobile if kind == "mobile" else f"{mobile} OR {numbers.fixed_line(number)}"


@_row(Kind.FORMAT, Dimension.NORMALISATION)
def plate(_: Context, *, column: Column) -> str:
    """The plate of a vehicle (GA 36)."""
    return numbers.plate(identifier(column))


@_row(Kind.FORMAT, Dimension.NORMALISATION)
def not_masked(_: Context, *, column: Column) -> str:
    """No character of the value is hidden behind an asterisk."""
    return f"NOT regexp_matches({identifier(column)}, '[*＊]')"


@_row(Kind.FORMAT, Dimension.ACCURACY)
def not_test(_: Context, *, column: Column) -> str:
    """The value does not say that the row is a test: it neither begins with 测试 or test nor ends with （测试）.

    A firm may well test something for its living, so the word alone proves nothing.
    """
    return f"NOT regexp_matches({identifier(column)}, '(?i)^(测试|test)|[(（]测试[)）]$')"


@_row(Kind.COMPLETENESS, Dimension.COMPLETENESS)
def requires(_: Context, *, column: Column, when: Column, values: Values) -> str:
    """The value is there where `when` is one of `values`, compared as text; NULL elsewhere."""
    asked = f"cast({identifier(when)} AS VARCHAR) IN ({literals(values)})"
    return f"CASE WHEN {asked} THEN {identifier(column)} IS NOT NULL END"


@_row(Kind.COMPLETENESS, Dimension.COMPLETENESS)
def present_with(_: Context, *, column: Column, other: Column) -> str:
    """The value is there where `other` has one; NULL elsewhere."""
    return f"CASE WHEN {identifier(other)} IS NOT NULL THEN {identifier(column)} IS NOT NULL END"


@_row(Kind.COMPLETENESS, Dimension.COMPLETENESS)
def one_of_present(_: Context, *, columns: list[Column]) -> str:
    """At least one of `columns` has a value."""
    return " OR ".join(f"{identifier(name)} IS NOT NULL" for name in columns)


@_row(Kind.CONSISTENCY, Dimension.CONSISTENCY)
def ordered(context: Context, *, earlier: Column, later: Column) -> str:
    """`earlier` is not after `later`; a date and a time are compared by the day. NULL if one of them is missing."""
    first, second = identifier(earlier), identifier(later)
    mixed = f"typeof({first}) <> typeof({second}) AND 'DATE' IN (typeof({first}), typeof({second}))"
    by_day = f"{_day(context, earlier)} <= {_day(context, later)}"
    return f"CASE WHEN {mixed} THEN {by_day} ELSE {first} <= {second} END"


@_row(Kind.CONSISTENCY, Dimension.CONSISTENCY)
def differs(_: Context, *, column: Column, other: Column) -> str:
    """The two values are not the same; NULL if one of them is missing."""
    return f"{identifier(column)} <> {identifier(other)}"


@_row(Kind.CONSISTENCY, Dimension.CONSISTENCY)
def age_at_least(context: Context, *, birth: Column, at: Column, years: int) -> str:
    """Whoever was born on `birth` is `years` old on the day of `at`; NULL if one of them is missing.

    An age is reached on the birthday, and by those born on 29 February on the last day of February (Civil Code, 202).
    """
    reached = f"cast({_day(context, birth)} + to_years({years}) AS DATE)"
    return f"{reached} <= {_day(context, at)}"


@_row(Kind.CONSISTENCY, Dimension.CONSISTENCY)
def part_of_whole(_: Context, *, part: Column, whole: Column, when: Column, values: Values) -> str:
    """`part` is not more than `whole` where `when` is one of `values`: no share is above 100 %."""
    asked = f"cast({identifier(when)} AS VARCHAR) IN ({literals(values)})"
    return f"CASE WHEN {asked} THEN {identifier(part)} <= {identifier(whole)} END"


@_row(Kind.CONSISTENCY, Dimension.CONSISTENCY)
def adds_up(_: Context, *, column: Column, parts: list[Column]) -> str:
    """The value is the sum of `parts`, to six decimals; a part without a value adds nothing. NULL for no value."""
    total = " + ".join(f"coalesce({identifier(name)}, 0)" for name in parts)
    return f"abs({identifier(column)} - ({total})) < 0.000001"


@_row(Kind.CONSISTENCY, Dimension.CONSISTENCY)
def told_in_text(_: Context, *, column: Column, text: Column, per: int) -> str:
    """The amount is one of those that the text states in 元 or 万元; `per` is the column's unit in 元.

    It tells an amount in 元 from one in 万元. NULL if there is no amount in the text.
    """
    amounts = f"regexp_extract_all({identifier(text)}, '[0-9]+(?:[.][0-9]+)?万?元')"
    number = "try_cast(regexp_extract(a, '[0-9.]+') AS DOUBLE)"
    stated = f"list_transform({amounts}, lambda a: round({number} * if(contains(a, '万'), 10000, 1)))"
    return f"CASE WHEN len({amounts}) > 0 THEN list_contains({stated}, round({identifier(column)} * {per})) END"


@_row(Kind.CONSISTENCY, Dimension.CONSISTENCY)
def gb11643_sex(_: Context, *, column: Column, sex: Literal["1", "2"]) -> str:
    """The identity number is that of a man (1) or a woman (2); NULL if the number is wrong."""
    return gb11643.of_sex(identifier(column), literal(sex))


@_row(Kind.CONSISTENCY, Dimension.CONSISTENCY)
def gb11643_age(context: Context, *, column: Column, at: Column, years: int) -> str:
    """Whoever bears the identity number is `years` old on the day of `at`; NULL if the number is wrong."""
    reached = f"cast({gb11643.birth_date(identifier(column))} + to_years({years}) AS DATE)"
    return f"{reached} <= {_day(context, at)}"


@_row(Kind.FORMAT, Dimension.NORMALISATION)
def subject_code_format(_: Context, *, column: Column, kind: Column, person: str) -> str:
    """An identity number (GB 11643) where `kind` is `person`, elsewhere a social credit code (GB 32100)."""
    code = identifier(column)
    natural = f"{identifier(kind)} = {literal(person)}"
    return f"CASE WHEN {natural} THEN {gb11643.well_formed(code)} ELSE {gb32100.well_formed(code)} END"


@_row(Kind.CHECK_DIGIT, Dimension.ACCURACY)
def subject_code_check_digit(_: Context, *, column: Column, kind: Column, person: str) -> str:
    """The check character of that number or code; NULL if its format is wrong."""
    code = identifier(column)
    natural = f"{identifier(kind)} = {literal(person)}"
    return f"CASE WHEN {natural} THEN {gb11643.check_digit_right(code)} ELSE {gb32100.check_digits_right(code)} END"


@_row(Kind.FORMAT, Dimension.NORMALISATION)
def chinese_name(_: Context, *, column: Column) -> str:
    """Two or more Chinese characters (extension planes included); single middle dots may stand between them."""
    return f"regexp_full_match({identifier(column)}, '({_HAN}+·)+{_HAN}+|{_HAN}{{2,}}')"


@_row(Kind.FORMAT, Dimension.NORMALISATION)
def wkt_polygon(_: Context, *, column: Column) -> str:
    """Well-known text of a polygon or multipolygon; coordinates have the size of longitude and latitude in degrees."""
    point = r"-?[0-9]{1,3}(\.[0-9]+)? -?[0-9]{1,2}(\.[0-9]+)?"
    ring = rf"\({point}(, ?{point}){{3,}}\)"
    polygon = rf"\({ring}(, ?{ring})*\)"
    pattern = rf"POLYGON ?{polygon}|MULTIPOLYGON ?\({polygon}(, ?{polygon})*\)"
    return f"regexp_full_match({identifier(column)}, {literal(pattern)})"


@_table(Kind.DUPLICATE, Dimension.ACCURACY)
def unique(context: Context, *, columns: list[Column]) -> str:
    """No two rows agree in all `columns`; counts the rows beyond the first of each group. Rows with a NULL pass."""
    names = ", ".join(identifier(name) for name in columns)
    present = " AND ".join(f"{identifier(name)} IS NOT NULL" for name in columns)
    groups = f"SELECT count(*) AS n FROM {context.relation} WHERE {present} GROUP BY {names} HAVING count(*) > 1"
    return f"(SELECT coalesce(sum(n - 1), 0) FROM ({groups}))"


@_table(Kind.VOLUME, Dimension.COMPLETENESS)
def row_count(context: Context, *, minimum: int) -> str:
    """At least `minimum` rows; counts the missing ones."""
    return f"(SELECT greatest({minimum} - count(*), 0) FROM {context.relation})"


@_table(Kind.VOLUME, Dimension.COMPLETENESS)
def volume_change(context: Context, *, maximum: float, rows: int = 0) -> str:
    """The row count moved by at most this share since the last release, or by at most so many rows: of a small table
    a share says nothing. Counts the rows beyond it. A count that a steward confirmed stands for that of the release."""
    if context.previous is None:
        return "0"
    now, last = (f"(SELECT count(*) FROM {relation})" for relation in (context.relation, context.previous))
    before = last if context.confirmed is None else str(context.confirmed)
    return f"greatest(cast(ceil(abs({now} - {before}) - greatest({before} * {maximum}, {rows})) AS BIGINT), 0)"


@_table(Kind.CONSISTENCY, Dimension.CONSISTENCY)
def sums_to(context: Context, *, column: Column, model: Model) -> str:
    """The column adds up to the row count of another model; counts the difference."""
    total = f"(SELECT coalesce(sum({identifier(column)}), 0) FROM {context.relation})"
    return f"abs({total} - (SELECT count(*) FROM {context.models[model]}))"


@_table(Kind.CONSISTENCY, Dimension.CONSISTENCY)
def counts_rows(context: Context, *, column: Column, model: Model, by: list[SharedColumn]) -> str:
    """The column says how many rows of another model have the same values in `by`, and no such values are left out;
    counts the values for which it does not. `citylake explain` follows a count to those rows.
    """
    names, number = ", ".join(identifier(name) for name in by), identifier(column)
    said = f"CASE WHEN count({number}) = count(*) THEN sum({number}) END"
    told = f"(SELECT {names}, {said} AS n FROM {context.relation} GROUP BY {names})"
    there = f"(SELECT {names}, count(*) AS n FROM {context.models[model]} GROUP BY {names})"
    same = " AND ".join(f"a.{identifier(name)} IS NOT DISTINCT FROM b.{identifier(name)}" for name in by)
    apart = "a.n IS DISTINCT FROM coalesce(b.n, 0)"
    return f"(SELECT count(*) FROM {told} a FULL JOIN {there} b ON {same} WHERE {apart})"


@_history(Kind.CONSISTENCY, Dimension.CONSISTENCY)
def one_open_per(
    context: Context,
    *,
    columns: list[Column],
    event: Column,
    opens: Values,
    closes: Values,
    at: Column,
    ended: list[Column],
    values: Values,
) -> str:
    """Nobody named in `columns` has two open at once: between two events that open lies one that closes.

    `event` says what an event is, `at` on which day it was; of one day the closing comes first. `ended` has one column
    for each of `columns`: where it holds one of `values`, what was open before had ended without an event (a spouse
    had died). Of two that contradict each other the later is at fault, unless it is known already. Who contradicts an
    event that is refused itself is refused with it: which of the two holds is for the department to say.
    """
    parts = [
        f"SELECT {row} AS _row, {identifier(column)} AS _who, {identifier(at)} AS _at, "
        f"{identifier(event)} IN ({literals(opens)}) AS _opens, "
        f"coalesce({identifier(free)} IN ({literals(values)}), false) AS _free "
        f"FROM {relation} WHERE {identifier(event)} IN ({literals([*opens, *closes])})"
        for relation, row in ((context.relation, "_row"), (context.previous or "", "NULL::BIGINT"))
        for column, free in zip(columns, ended, strict=True)
        if relation
    ]
    order = "PARTITION BY _who ORDER BY _at, _opens, _row NULLS FIRST"
    events = f"SELECT * FROM ({' UNION ALL '.join(parts)}) WHERE _who IS NOT NULL AND _at IS NOT NULL"
    concerned = f"SELECT _who FROM ({events}) WHERE _row IS NOT NULL"
    beside = (
        f"SELECT *, lag(_opens) OVER ({order}) AS _before, "
        f"lead(_opens AND NOT _free AND _row IS NULL) OVER ({order}) AS _after "
        f"FROM ({events}) WHERE _who IN ({concerned})"
    )
    twice = "(_before AND NOT _free) OR _after"
    return f"SELECT DISTINCT _row FROM ({beside}) WHERE _row IS NOT NULL AND _opens AND ({twice})"


@_history(Kind.CONSISTENCY, Dimension.CONSISTENCY)
def preceded_by(context: Context, *, of: Column, event: Column, events: Values, needs: Values, at: Column) -> str:
    """Each event of one of the kinds `events` has one of the kinds `needs` about the same `of`, not after it.

    `event` says what an event is, `at` when it was. Nothing is asked of events without `of` or `at`.
    """
    about, when = identifier(of), identifier(at)
    told = " UNION ALL ".join(
        f"SELECT {about} AS _of, {when} AS _at FROM {relation} WHERE {identifier(event)} IN ({literals(needs)})"
        for relation in (context.relation, context.previous)
        if relation
    )
    first = f"SELECT _of, min(_at) AS _at FROM ({told}) GROUP BY _of"
    return (
        f"SELECT e._row FROM {context.relation} e LEFT JOIN ({first}) f ON f._of = e.{about} "
        f"WHERE e.{identifier(event)} IN ({literals(events)}) AND e.{about} IS NOT NULL AND e.{when} IS NOT NULL "
        f"AND (f._at IS NULL OR f._at > e.{when})"
    )


@_history(Kind.CONSISTENCY, Dimension.CONSISTENCY)
def adds_up_to(context: Context, *, column: Column, by: Column, total: float, tolerance: float = 0.0) -> str:
    """The values of all events with the same `by` add up to `total`, give or take `tolerance`.

    Which of them is wrong nobody can tell: the new ones are refused together, as is one of whose companions one was
    refused itself. Nothing is asked where none has a value.
    """
    group, number = identifier(by), identifier(column)
    told = " UNION ALL ".join(
        f"SELECT {group} AS _by, {number} AS _value FROM {relation}"
        for relation in (context.relation, context.previous)
        if relation
    )
    sums = f"SELECT _by, sum(_value) AS _sum FROM ({told}) GROUP BY _by"
    return (
        f"SELECT e._row FROM {context.relation} e JOIN ({sums}) s ON s._by = e.{group} "
        f"WHERE abs(s._sum - {total}) > {tolerance}"
    )


def days_after_today(bound: object) -> int | None:
    """How many days after the edition's day a bound lies that is written relative to it; None for any other bound."""
    found = _RELATIVE.fullmatch(bound) if isinstance(bound, str) else None
    return None if found is None else 1 if found[0] == "tomorrow" else int(found[1] or 0)


def _bound(context: Context, bound: Bound) -> str:
    days = days_after_today(bound)
    if days is None:
        return literal(bound)
    if context.today is None:
        return f"current_date + {days}"
    return literal((context.today + timedelta(days=days)).isoformat())


def _day(context: Context, column: str) -> str:
    """The calendar day of a date or a time; NULL for any other type, for which every branch is bound too."""
    value = identifier(column)
    local = f"timezone({literal(context.timezone)}, try_cast({value} AS TIMESTAMPTZ))"
    zoned = f"typeof({value}) = 'TIMESTAMP WITH TIME ZONE'"
    return f"CASE WHEN {zoned} THEN cast({local} AS DATE) ELSE try_cast({value} AS DATE) END"
