"""Questions: what the parameters of an address ask for. Knows columns, no data; whatever it does not know is refused.

A filter is `column=operator.value` as in PostgREST: the operator stands before the first dot of the value, so a value
may hold anything and nothing needs a second language (decision 0043). The parameters with a meaning of their own are
in `RESERVED`; their values never begin with an operator and a dot, so a column that is called like one of them can be
asked about all the same.
"""

import csv
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from catalog.delivery.rows.columns import NUMERIC, Column
from catalog.delivery.rows.problems import Problem

OPERATORS: Mapping[str, str] = {"eq": "=", "ne": "<>", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
WORDS = (*OPERATORS, "in", "null")
Function = Literal["count", "sum", "min", "max", "avg"]
FUNCTIONS: tuple[Function, ...] = ("count", "sum", "min", "max", "avg")
RESERVED = ("fields", "sort", "limit", "cursor", "as_of", "format", "group", *FUNCTIONS)
DEFAULT_LIMIT = 1_000
MOST_LIMIT = 1_000_000
MOST_FILTERS = 50
MOST_VALUES = 1_000

_FILTER = re.compile(rf"({'|'.join(WORDS)})\.(.*)", re.DOTALL)
_NUMBER = re.compile(r"\d{1,9}", re.ASCII)


@dataclass(frozen=True)
class Filter:
    """Rows where the column stands so to the values; `null` has the one value true or false."""

    column: Column
    operator: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Order:
    """A column to sort by. Rows without a value come last, whatever the direction."""

    column: Column
    descending: bool = False


@dataclass(frozen=True)
class Aggregate:
    """A function over a column, or over rows: `count` with no column. `output` is the column of the answer."""

    function: Function
    column: Column | None
    output: Column


@dataclass(frozen=True)
class Question:
    """What is asked of the rows of one version. Either `fields` or `group` and `aggregates` say what is shown."""

    fields: tuple[Column, ...]
    filters: tuple[Filter, ...] = ()
    sort: tuple[Order, ...] = ()
    group: tuple[Column, ...] = ()
    aggregates: tuple[Aggregate, ...] = ()

    @property
    def aggregated(self) -> bool:
        """Whether rows are put together."""
        return bool(self.group or self.aggregates)

    @property
    def shown(self) -> tuple[Column, ...]:
        """The columns of the answer."""
        return (*self.group, *(item.output for item in self.aggregates)) if self.aggregated else self.fields

    @property
    def order(self) -> tuple[Order, ...]:
        """By which columns the answer is ordered; rows that are equal in all of them are ordered by their position."""
        asked = {order.column.name for order in self.sort}
        return (*self.sort, *(Order(column) for column in self.group if column.name not in asked))

    @property
    def used(self) -> tuple[str, ...]:
        """The columns of the product that the answer depends on beside those shown as they are."""
        filtered = [item.column.name for item in self.filters]
        aggregated = [item.column.name for item in self.aggregates if item.column]
        sorted_by = [] if self.aggregated else [order.column.name for order in self.sort]
        return tuple(sorted({*filtered, *aggregated, *sorted_by}))

    def to_json(self) -> list[Any]:
        """The question as a cursor and an entity tag are bound to it."""
        return [
            [column.name for column in self.fields],
            sorted([item.column.name, item.operator, list(item.values)] for item in self.filters),
            [[order.column.name, order.descending] for order in self.sort],
            [column.name for column in self.group],
            [item.output.name for item in self.aggregates],
        ]


@dataclass(frozen=True)
class Asked:
    """The parameters of an address: reserved ones by name, and filters in their order as (column, operator, value)."""

    reserved: Mapping[str, str]
    filters: tuple[tuple[str, str, str], ...]

    def limit(self, most: int = MOST_LIMIT) -> int:
        """How many rows at most. Raises Problem."""
        text = self.reserved.get("limit")
        if text is None:
            return min(DEFAULT_LIMIT, most)
        if not _NUMBER.fullmatch(text) or not 1 <= int(text) <= most:
            raise Problem("bad_limit", "limit", value=text[:40], most=f"{most:,}")
        return int(text)

    def version(self) -> int | None:
        """The version asked for, None for the published one. Raises Problem."""
        text = self.reserved.get("as_of")
        if text is None:
            return None
        if not _NUMBER.fullmatch(text):
            raise Problem("bad_version", "as_of", value=text[:40])
        return int(text)


def is_filter(value: str) -> bool:
    """Whether the value of a parameter makes it a filter, whatever its name."""
    return _FILTER.fullmatch(value) is not None


def asked(parameters: Iterable[tuple[str, str]], known: Sequence[str] = RESERVED) -> Asked:
    """Sort parameters into reserved ones and filters. Raises Problem for what is neither, and for one given twice."""
    reserved, filters = dict[str, str](), list[tuple[str, str, str]]()
    for name, value in parameters:
        if found := _FILTER.fullmatch(value):
            filters.append((name, found[1], found[2]))
        elif name not in known:
            raise Problem("bad_filter", name, operators=", ".join(WORDS))
        elif name in reserved:
            raise Problem("twice", name)
        else:
            reserved[name] = value
    if len(filters) > MOST_FILTERS:
        raise Problem("too_many_filters", filters[MOST_FILTERS][0], most=MOST_FILTERS)
    return Asked(reserved, tuple(filters))


def question(found: Asked, columns: Sequence[Column]) -> Question:
    """The question over columns that may be seen: a hidden one is refused as if it did not exist. Raises Problem."""
    reading = _Reading({column.name: column for column in columns})
    filters = tuple(reading.filter(*item) for item in found.filters)
    group = reading.several(found.reserved, "group")
    aggregates = tuple(item for name in FUNCTIONS for item in reading.aggregates(found.reserved, name))
    if not group and not aggregates:
        fields = reading.several(found.reserved, "fields") or tuple(columns)
        return Question(fields, filters, reading.sort(found.reserved))
    if "fields" in found.reserved:
        raise Problem("fields_and_group", "fields")
    _require_ordered(group, "group")
    outputs = (*group, *(item.output for item in aggregates))
    names = [column.name for column in outputs]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise Problem("name_twice", "group", name=twice)
    shown = _Reading({column.name: column for column in outputs})
    return Question((), filters, shown.sort(found.reserved), group, aggregates)


@dataclass(frozen=True)
class _Reading:
    """Names looked up among the columns that may be named."""

    columns: Mapping[str, Column]

    def column(self, name: str, parameter: str) -> Column:
        if name not in self.columns:
            raise Problem("unknown_column", parameter, name=name[:80], columns=", ".join(self.columns))
        return self.columns[name]

    def several(self, reserved: Mapping[str, str], parameter: str) -> tuple[Column, ...]:
        if parameter not in reserved:
            return ()
        names = reserved[parameter].split(",")
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise Problem("name_twice", parameter, name=twice[:80])
        return tuple(self.column(name, parameter) for name in names)

    def sort(self, reserved: Mapping[str, str]) -> tuple[Order, ...]:
        if "sort" not in reserved:
            return ()
        names = reserved["sort"].split(",")
        orders = tuple(Order(self.column(name.removeprefix("-"), "sort"), name.startswith("-")) for name in names)
        sorted_by = [order.column.name for order in orders]
        if twice := next((name for name in sorted_by if sorted_by.count(name) > 1), None):
            raise Problem("name_twice", "sort", name=twice)
        _require_ordered([order.column for order in orders], "sort")
        return orders

    def filter(self, name: str, operator: str, text: str) -> Filter:
        column = self.column(name, name)
        if operator == "null":
            if text not in ("true", "false"):
                raise Problem("bad_null", name)
            return Filter(column, operator, (text,))
        _require_ordered([column], name)
        values = _listed(text, name) if operator == "in" else [text]
        return Filter(column, operator, tuple(column.value(value, name) for value in values))

    def aggregates(self, reserved: Mapping[str, str], function: Function) -> list[Aggregate]:
        if reserved.get(function) == "*" and function == "count":
            return [Aggregate("count", None, Column("count", "integer", "BIGINT", (63,)))]
        found = self.several(reserved, function)
        for column in found:
            if function in ("sum", "avg") and column.kind not in NUMERIC:
                raise Problem("not_numeric", function, name=column.name)
        if function in ("min", "max"):
            _require_ordered(found, function)
        return [Aggregate(function, column, _output(function, column)) for column in found]


def _output(function: Function, column: Column) -> Column:
    name = f"{function}_{column.name}"
    if function == "count":
        return Column(name, "integer", "BIGINT", (63,))
    if function == "avg" or (function == "sum" and column.kind == "number"):
        return Column(name, "number", "DOUBLE")
    if function == "sum":
        scale = column.limits[1] if column.kind == "decimal" else 0
        return Column(name, "decimal", f"DECIMAL(38,{scale})", (38, scale))
    return Column(name, column.kind, column.sql, column.limits)


def _require_ordered(columns: Iterable[Column], parameter: str) -> None:
    for column in columns:
        if not column.ordered:
            raise Problem("not_ordered", parameter, name=column.name)


def _listed(text: str, parameter: str) -> list[str]:
    """Values separated by commas; one with a comma or quote stands in double quotes, as in CSV."""
    try:
        lines = list(csv.reader([text], strict=True))
    except csv.Error as error:
        raise Problem("bad_list", parameter, most=f"{MOST_VALUES:,}") from error
    values = (lines[0] if lines else []) or [""]
    if len(lines) > 1 or len(values) > MOST_VALUES:
        raise Problem("bad_list", parameter, most=f"{MOST_VALUES:,}")
    return values
