"""Statistics of one data file as Delta writes them in JSON.

Belongs here: which columns get statistics and in which form. A column stands in all three maps (minValues, maxValues,
nullCount) or in none: deltalake 1.6.6 loses rows in filtered reads when nullCount stands alone. Not: the log itself.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from math import isfinite
from typing import Any

from deltalake import Schema
from deltalake.schema import PrimitiveType

from pipelines.codecs.sql import identifier

MAX_TEXT, MAX_BYTES = 32, 60  # characters, bytes; longer bounds are cut off by writers (at 64 bytes), hence not exact


def written_stats(schema: Schema, rows: int, seen: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """Statistics of a file DuckDB wrote, from the texts its COPY returned by quoted column name."""
    bounds = {}
    for field in schema.fields:
        column = seen.get(identifier(field.name), {})
        if column.get("has_nan") != "true":
            bounds[field.name] = (column.get("min"), column.get("max"), column.get("null_count"))
    return _stats(schema, rows, bounds)


def kept_stats(schema: Schema, add: Mapping[str, Any]) -> dict[str, Any]:
    """Statistics of a file already in a table, from one flattened add action of deltalake."""
    bounds = {
        field.name: (add.get(f"min.{field.name}"), add.get(f"max.{field.name}"), add.get(f"null_count.{field.name}"))
        for field in schema.fields
    }
    return _stats(schema, add["num_records"], bounds)


def _stats(schema: Schema, rows: int, bounds: Mapping[str, tuple[Any, Any, Any]]) -> dict[str, Any]:
    low: dict[str, Any] = {}
    high: dict[str, Any] = {}
    nulls: dict[str, int] = {}
    for field in schema.fields:
        seen = bounds.get(field.name, (None, None, None))
        if None in seen or not isinstance(field.type, PrimitiveType):
            continue
        first, last = (_json_value(field.type.type, value) for value in seen[:2])
        if first is None or last is None:
            continue
        low[field.name], high[field.name], nulls[field.name] = first, last, int(seen[2])
    return {"numRecords": rows, "minValues": low, "maxValues": high, "nullCount": nulls}


def _json_value(kind: str, value: Any) -> int | float | str | None:
    """A minimum or maximum in Delta's JSON, from DuckDB's text or Arrow's value; None if it must be left out."""
    try:
        if kind in ("byte", "short", "integer", "long"):
            return int(value)
        if kind in ("float", "double") or kind.startswith("decimal"):
            return _exact_number(value)
        if kind == "string":
            return value if len(value) <= MAX_TEXT and len(value.encode()) <= MAX_BYTES else None
        if kind == "date":
            return (value if isinstance(value, date) else date.fromisoformat(value)).isoformat()
        if kind == "timestamp":
            moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
            return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
    except (ValueError, InvalidOperation, OverflowError):  # infinity, years beyond 9999 or before Christ
        return None
    return None


def _exact_number(value: Any) -> float | None:
    number = float(value)
    written = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    return number if isfinite(number) and Decimal(repr(number)) == written else None
