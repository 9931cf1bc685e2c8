"""Predicate hints of Delta Sharing: files in which no row can be what the reader looks for are left out.

Belongs here: `jsonPredicateHints`, weighed against the partition values and statistics of a view's files. Does not
belong here: which rows are let through, since a view has no others; `predicateHints`, which are SQL and on their way
out (0041). A hint never makes an answer wrong: of what is not understood every file stays.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import reduce
from typing import Any, Final

from catalog.delivery.extracts import Extract, Part

_MOST_NODES: Final = 1_000
"""Of one predicate; each is weighed for each file."""
_ALL: Final = frozenset({True, False, None})
_NEGATED: Final = {True: False, False: True, None: None}
_FLIPPED: Final = {
    "equal": "equal",
    "lessThan": "greaterThan",
    "lessThanOrEqual": "greaterThanOrEqual",
    "greaterThan": "lessThan",
    "greaterThanOrEqual": "lessThanOrEqual",
}
_NUMBER, _DAY = re.compile(r"-?[0-9]{1,20}"), re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_INTEGERS: Final = frozenset({"byte", "short", "int", "integer", "long"})

Truths = frozenset[bool | None]
"""What a predicate may be for the rows of a file: true, false, unknown (None)."""


def _number(text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise ValueError
    return int(text)


def _day(text: str) -> date:
    if not _DAY.fullmatch(text):
        raise ValueError
    return date.fromisoformat(text)


_READ: Final[Mapping[str, tuple[frozenset[str], Callable[[str], Any]]]] = {
    **dict.fromkeys(("byte", "short", "integer", "long"), (_INTEGERS, _number)),
    "string": (frozenset({"string"}), str),
    "date": (frozenset({"date"}), _day),
}
"""Types of columns that are weighed: the value types that compare as the column does, and how a text is read. The
others have no bounds (boolean, long texts), or bounds that clients round or place in a zone of their own."""


@dataclass(frozen=True)
class _Bounds:
    """Of a column in a file. Without values all are NULL."""

    low: Any
    high: Any
    nulls: int
    values: int


class _NotUnderstood(Exception):
    pass


def matching(extract: Extract, hint: object) -> tuple[Part, ...]:
    """The files that may have rows for which a predicate is true: `jsonPredicateHints` as the protocol has it, JSON in
    a text, or as its OpenAPI document has it, an object. None and what is no predicate: all files."""
    try:
        predicate = json.loads(hint) if isinstance(hint, str) else hint
        if not isinstance(predicate, dict) or _nodes(predicate) > _MOST_NODES:
            return extract.parts
    except (ValueError, RecursionError):
        return extract.parts
    types = {str(field["name"]): field["type"] for field in extract.fields}
    return tuple(part for part in extract.parts if True in _truths(predicate, _File(part, types)))


def _nodes(predicate: object) -> int:
    if isinstance(predicate, list):
        return sum(map(_nodes, predicate))
    return 1 + _nodes(predicate.get("children")) if isinstance(predicate, dict) else 0


class _File:
    """What is known of the columns of one file."""

    def __init__(self, part: Part, types: Mapping[str, object]) -> None:
        self._part, self._types, self._stats = part, types, json.loads(part.stats)

    def reader(self, column: Mapping[str, Any]) -> Callable[[str], Any]:
        """How texts of a column's values are read. Raises _NotUnderstood where the hint takes it for another type,
        KeyError where there is no such column or its type is not weighed."""
        value_types, read = _READ[str(self._types[column["name"]])]
        if column.get("valueType") not in value_types:
            raise _NotUnderstood
        return read

    def bounds(self, column: Mapping[str, Any]) -> _Bounds:
        """Raises as `reader` does, and _NotUnderstood where nothing is known of the column."""
        name, read = column["name"], self.reader(column)
        if name in self._part.partition:
            value = read(self._part.partition[name])
            return _Bounds(value, value, 0, self._part.rows)
        if name not in self._stats["nullCount"]:
            raise _NotUnderstood
        nulls = self._stats["nullCount"][name]
        low, high = (read(str(self._stats[side][name])) for side in ("minValues", "maxValues"))
        return _Bounds(low, high, nulls, self._part.rows - nulls)


def _truths(predicate: object, file: _File) -> Truths:
    """What a predicate may be for rows of a file; more than that where it is not understood."""
    try:
        return _weighed(predicate, file)
    except (_NotUnderstood, KeyError, TypeError, ValueError, AttributeError):
        return _ALL


def _weighed(predicate: Any, file: _File) -> Truths:
    op, children = predicate["op"], predicate["children"]
    if op in ("and", "or") and children:
        return reduce(_both if op == "and" else _either, [_truths(child, file) for child in children])
    if op == "not":
        (child,) = children
        return _not(_truths(child, file))
    if op == "isNull":
        (column,) = children
        bounds = file.bounds(_of("column", column))
        return frozenset({True} if bounds.nulls else ()) | frozenset({False} if bounds.values else ())
    return _compared(op, children, file)


def _both(one: Truths, other: Truths) -> Truths:
    return frozenset(False if False in (a, b) else None if None in (a, b) else True for a in one for b in other)


def _either(one: Truths, other: Truths) -> Truths:
    return _not(_both(_not(one), _not(other)))


def _not(truths: Truths) -> Truths:
    return frozenset(_NEGATED[one] for one in truths)


def _compared(op: str, children: Sequence[Any], file: _File) -> Truths:
    """A column beside a constant, either first."""
    first, second = children
    if first["op"] == "literal":
        op, first, second = _FLIPPED[op], second, first
    column, constant = _of("column", first), _of("literal", second)
    if constant.get("valueType") != column.get("valueType") or not isinstance(constant["value"], str):
        raise _NotUnderstood
    value, bounds = file.reader(column)(constant["value"]), file.bounds(column)
    unknown: Truths = frozenset({None} if bounds.nulls else ())
    return unknown | (_of_values(op, bounds, value) if bounds.values else frozenset())


def _of_values(op: str, bounds: _Bounds, value: Any) -> Truths:
    low, high = bounds.low, bounds.high
    can, must = {
        "equal": (low <= value <= high, low == value == high),
        "lessThan": (low < value, high < value),
        "lessThanOrEqual": (low <= value, high <= value),
        "greaterThan": (high > value, low > value),
        "greaterThanOrEqual": (high >= value, low >= value),
    }[op]
    return frozenset({True} if can else ()) | frozenset(() if must else {False})


def _of(op: str, child: Any) -> Mapping[str, Any]:
    if not isinstance(child, dict) or child["op"] != op:
        raise _NotUnderstood
    return child
