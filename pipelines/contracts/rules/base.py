"""What a rule verb is, what it may look at, and one rule of a contract. The verbs themselves stand beside this."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from functools import cache
from typing import Annotated, Any, Literal

import duckdb
from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from pipelines.codecs.local_time import local
from pipelines.codecs.sql import identifier, literal
from pipelines.verbs import Registry

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
    scope: Literal["row", "shape", "table", "history", "across"] = "row"

    @property
    def of_rows(self) -> bool:
        """Whether it judges each row by itself."""
        return self.scope in ("row", "shape")


@dataclass(frozen=True)
class Context:
    """What rules may look at besides the row.

    `lists`: code list -> codes. `today`: the day of the edition; None means the day the statement runs, for exported
    contracts only. `relation`: SQL of the judged table. `previous`: SQL of the last released version or None.
    `confirmed`: the number of rows that a steward said is right since that release. `models`: SQL of other models of
    the edition by name; for rules of sources, of other sources. `timezone`: where a point in time has its day; all of
    China has one.
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

    @property
    def their_columns(self) -> tuple[str, ...]:
        """The columns that it names of another source or model."""
        return tuple(name for name in rules[self.verb].their_columns(self.arguments) if name)

    def sql(self, context: Context) -> str:
        """The predicate of a row rule, a table rule's count of violations, the query of a history or an across rule."""
        return rules[self.verb].function(context, **self.arguments)


def row(kind: Kind, dimension: Dimension) -> Callable[[Callable[..., str]], Callable[..., str]]:
    """Registers a predicate of a row."""
    return rules.register(RuleAbout(kind, dimension))


def shape(kind: Kind, dimension: Dimension) -> Callable[[Callable[..., str]], Callable[..., str]]:
    """Registers a shape rule."""
    return rules.register(RuleAbout(kind, dimension, "shape"))


def table(kind: Kind, dimension: Dimension) -> Callable[[Callable[..., str]], Callable[..., str]]:
    """Registers a count of violations of a table."""
    return rules.register(RuleAbout(kind, dimension, "table"))


def history(kind: Kind, dimension: Dimension) -> Callable[[Callable[..., str]], Callable[..., str]]:
    """Registers a query for new events that contradict others."""
    return rules.register(RuleAbout(kind, dimension, "history"))


def across(kind: Kind, dimension: Dimension) -> Callable[[Callable[..., str]], Callable[..., str]]:
    """Registers a query of what a rule about two datasets looks at, each with `_good`."""
    return rules.register(RuleAbout(kind, dimension, "across"))


def days_after_today(bound: object) -> int | None:
    """How many days after the edition's day a bound lies that is written relative to it; None for any other bound."""
    found = _RELATIVE.fullmatch(bound) if isinstance(bound, str) else None
    return None if found is None else 1 if found[0] == "tomorrow" else int(found[1] or 0)


def day(context: Context, column: str) -> str:
    """The calendar day of a date or a time; NULL for any other type, for which every branch is bound too."""
    value = identifier(column)
    here = local(f"try_cast({value} AS TIMESTAMPTZ)", context.timezone)
    zoned = f"typeof({value}) = 'TIMESTAMP WITH TIME ZONE'"
    return f"CASE WHEN {zoned} THEN cast({here} AS DATE) ELSE try_cast({value} AS DATE) END"
