"""What a question may say about a column: its kind, and how a value in an address becomes one of SQL.

Values are checked here, before any query: a value that is none of the column's type is the client's mistake.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Literal

from catalog.delivery.rows.problems import Problem

Kind = Literal["text", "integer", "number", "decimal", "boolean", "date", "timestamp", "other"]
NUMERIC: frozenset[Kind] = frozenset({"integer", "number", "decimal"})
"""What can be added up."""

_INTEGERS = {"byte": ("TINYINT", 7), "short": ("SMALLINT", 15), "integer": ("INTEGER", 31), "long": ("BIGINT", 63)}
_SIMPLE: Mapping[str, tuple[Kind, str]] = {
    "string": ("text", "VARCHAR"),
    "float": ("number", "FLOAT"),
    "double": ("number", "DOUBLE"),
    "boolean": ("boolean", "BOOLEAN"),
    "date": ("date", "DATE"),
    "timestamp": ("timestamp", "TIMESTAMP WITH TIME ZONE"),
    "timestamp_ntz": ("timestamp", "TIMESTAMP"),
}
_DECIMAL = re.compile(r"decimal\((\d+),\s*(\d+)\)")
_WHOLE = re.compile(r"[+-]?\d{1,40}", re.ASCII)
_FRACTION = re.compile(r"[+-]?\d{1,40}(\.\d{1,40})?", re.ASCII)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


@dataclass(frozen=True)
class Column:
    """One column: name, kind, DuckDB's name of its type, and what limits its numbers (bits, or digits and scale)."""

    name: str
    kind: Kind
    sql: str
    limits: tuple[int, ...] = ()

    @property
    def ordered(self) -> bool:
        """Whether its values can be compared, sorted and grouped."""
        return self.kind != "other"

    def value(self, text: str, parameter: str) -> str:
        """A value as text that SQL casts to the column's type without loss. Raises Problem."""
        try:
            return _CHECKS[self.kind](text, self)
        except (ValueError, OverflowError) as error:
            raise Problem("bad_value", parameter, value=text[:40], type=self.kind) from error


def column_of(field: Mapping[str, Any]) -> Column:
    """The column of a field of a Delta schema."""
    name, kind = field["name"], field["type"]
    if not isinstance(kind, str):
        return Column(name, "other", "")
    if kind in _INTEGERS:
        sql, bits = _INTEGERS[kind]
        return Column(name, "integer", sql, (bits,))
    if kind in _SIMPLE:
        return Column(name, *_SIMPLE[kind])
    if found := _DECIMAL.fullmatch(kind):
        digits, scale = int(found[1]), int(found[2])
        return Column(name, "decimal", f"DECIMAL({digits},{scale})", (digits, scale))
    return Column(name, "other", "")


def _text(text: str, column: Column) -> str:
    if "\x00" in text:
        raise ValueError
    return text


def _integer(text: str, column: Column) -> str:
    number = int(text) if _WHOLE.fullmatch(text) else None
    if number is None or not -(2 ** column.limits[0]) <= number < 2 ** column.limits[0]:
        raise ValueError
    return str(number)


def _number(text: str, column: Column) -> str:
    number = float(text)
    if not math.isfinite(number) or not text.isascii() or "_" in text or text != text.strip():
        raise ValueError
    if column.sql == "FLOAT" and abs(number) > 3.4e38:
        raise ValueError
    return repr(number)


def _decimal(text: str, column: Column) -> str:
    digits, scale = column.limits
    if not _FRACTION.fullmatch(text):
        raise ValueError
    whole, _, fraction = text.lstrip("+-").partition(".")
    if len(fraction) > scale or len(whole.lstrip("0")) > digits - scale:
        raise ValueError
    return text


def _boolean(text: str, column: Column) -> str:
    if text not in ("true", "false"):
        raise ValueError
    return text


def _date(text: str, column: Column) -> str:
    if not _DAY.fullmatch(text):
        raise ValueError
    return date.fromisoformat(text).isoformat()


def _timestamp(text: str, column: Column) -> str:
    if not text.isascii() or not _DAY.match(text):
        raise ValueError
    moment = datetime.fromisoformat(text)
    # DuckDB works in UTC, passes over the offset where a column has no zone, and knows none of microseconds
    return (moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment).isoformat(sep=" ")


def _other(text: str, column: Column) -> str:
    raise ValueError


_CHECKS: Mapping[Kind, Callable[[str, Column], str]] = {
    "text": _text,
    "integer": _integer,
    "number": _number,
    "decimal": _decimal,
    "boolean": _boolean,
    "date": _date,
    "timestamp": _timestamp,
    "other": _other,
}
