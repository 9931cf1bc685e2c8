"""Faults that departments commit with a whole file: other columns, codes, units or encodings, half of the rows.

When a file is delivered, and the same one once more, is decided in `drops`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal, InvalidOperation

from simulator.chance import Dice
from simulator.disturbances import (
    FILE_ENCODING,
    HALF,
    MISSING_COLUMN,
    NEW_CODE,
    NEW_COLUMN,
    OTHER_UNIT,
    RENAMED_COLUMN,
    VANISHED,
    Fault,
)
from simulator.registers import Files, Row


def faulty(place: Files, rows: Sequence[Row], key: int, fault: Fault) -> tuple[Files, list[Row]]:
    """How a file is laid out and which rows it holds under a fault. `key`: the index of the key column."""
    if fault.kind == NEW_COLUMN:
        return replace(place, names=(*place.names, str(fault.column))), [[*row, "?"] for row in rows]
    if fault.kind == FILE_ENCODING:
        return replace(place, encoding=str(fault.value)), list(rows)
    if fault.kind in (HALF, VANISHED):
        return place, [row for row in rows if _is_drawn(row, key, fault)]
    if fault.column is None:
        return place, list(rows)
    at = place.names.index(fault.column)
    if fault.kind == MISSING_COLUMN:
        names = (*place.names[:at], *place.names[at + 1 :])
        return replace(place, names=names), [[*row[:at], *row[at + 1 :]] for row in rows]
    if fault.kind == RENAMED_COLUMN:
        names = (*place.names[:at], str(fault.value), *place.names[at + 1 :])
        return replace(place, names=names), list(rows)
    if fault.kind == NEW_CODE:
        return place, [_with(row, at, fault.value) if _is_drawn(row, key, fault) else row for row in rows]
    assert fault.kind == OTHER_UNIT, fault
    return place, [_with(row, at, _scaled(row[at], str(fault.value))) if at < len(row) else row for row in rows]


def _is_drawn(row: Row, key: int, fault: Fault) -> bool:
    return Dice(fault.seed, "drawn", row[key]).chance(fault.share)


def _with(row: Row, at: int, value: str | None) -> Row:
    return [*row[:at], value, *row[at + 1 :]]


def _scaled(value: str | None, factor: str) -> str | None:
    try:
        return None if value is None else f"{Decimal(value) * Decimal(factor):f}"
    except InvalidOperation:
        return value
