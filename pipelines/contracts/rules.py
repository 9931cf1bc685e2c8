"""Rule verbs: what a contract may demand of a row or of a table, compiled to SQL.

The same rules judge rows at admission, candidates at the gate and, translated, the Great Expectations suite. A row
rule is a predicate: true, false, or NULL where it does not apply. A table rule counts violations in one scalar query.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from functools import cache
from typing import Annotated, Any, Literal

import duckdb
from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from pipelines.codecs import gb11643
from pipelines.codecs.sql import identifier, literal, literals
from pipelines.verbs import CodeList, Column, Model, Registry, VerbError

# Unified ideographs by block, not by the Unicode tables of one RE2 release: 〇, extension A, the basic block, and the
# planes of extensions B to J. Radicals, compatibility forms and private-use characters are look-alikes, not names.
_HAN = r"[\x{3007}\x{3400}-\x{4DBF}\x{4E00}-\x{9FFF}\x{20000}-\x{3FFFF}]"


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
    scope: Literal["row", "table"] = "row"


@dataclass(frozen=True)
class Context:
    """What rules may look at besides the row.

    `lists`: code list -> codes. `today`: the day of the edition; None means the day the statement runs, for exported
    contracts only. `relation`: SQL of the judged table. `previous`: SQL of the last released version or None.
    `models`: SQL of other models of the edition by name.
    """

    lists: Mapping[str, frozenset[str]]
    today: date | None
    relation: str = ""
    previous: str | None = None
    models: Mapping[str, str] = field(default_factory=dict)


rules: Registry[Callable[..., str], RuleAbout] = Registry("rule")

Bound = int | float | str


@cache
def _accepted(pattern: str) -> bool:
    try:
        duckdb.execute("SELECT regexp_full_match('', ?)", [pattern])
    except duckdb.Error:
        return False
    return True


def _check_pattern(pattern: str) -> str:
    if not _accepted(pattern):
        raise PydanticCustomError("pattern", "not an RE2 pattern")
    return pattern


Pattern = Annotated[str, AfterValidator(_check_pattern)]
"""A regular expression that DuckDB (RE2) accepts: no look-around, no back references."""


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
        """The predicate of a row rule, or the count of violations of a table rule."""
        return rules[self.verb].function(context, **self.arguments)


def _row(kind: Kind, dimension: Dimension) -> Callable[[Callable[..., str]], Callable[..., str]]:
    return rules.register(RuleAbout(kind, dimension))


def _table(kind: Kind, dimension: Dimension) -> Callable[[Callable[..., str]], Callable[..., str]]:
    return rules.register(RuleAbout(kind, dimension, "table"))


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
    """Not below `minimum` and not above `maximum`; dates as ISO text, `today` or `tomorrow`.

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
    return f"{identifier(birth)} = {gb11643.birth_date(identifier(id))}"


@_row(Kind.CONSISTENCY, Dimension.CONSISTENCY)
def sex_matches_id(_: Context, *, id: Column, sex: Column) -> str:
    """Sex 1 or 2 is the parity of the identity number; 0 and 9 say nothing and pass."""
    column = identifier(sex)
    return f"CASE WHEN {column} IN ('1', '2') THEN {column} = {gb11643.sex(identifier(id))} END"


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
def volume_change(context: Context, *, maximum: float) -> str:
    """The row count moved by at most this share since the last release; counts the rows beyond it."""
    if context.previous is None:
        return "0"
    rows, before = (f"(SELECT count(*) FROM {relation})" for relation in (context.relation, context.previous))
    return f"greatest(cast(ceil(abs({rows} - {before}) - {before} * {maximum}) AS BIGINT), 0)"


@_table(Kind.CONSISTENCY, Dimension.CONSISTENCY)
def sums_to(context: Context, *, column: Column, model: Model) -> str:
    """The column adds up to the row count of another model; counts the difference."""
    total = f"(SELECT coalesce(sum({identifier(column)}), 0) FROM {context.relation})"
    return f"abs({total} - (SELECT count(*) FROM {context.models[model]}))"


def _bound(context: Context, bound: Bound) -> str:
    later = {"today": 0, "tomorrow": 1}
    if not isinstance(bound, str) or bound not in later:
        return literal(bound)
    if context.today is None:
        return f"current_date + {later[bound]}"
    return literal((context.today + timedelta(days=later[bound])).isoformat())
