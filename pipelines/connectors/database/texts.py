"""Values of drivers as exact texts, written as Parquet piece by piece. A value without an exact text is an error."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import UUID

import pyarrow as pa
import pyarrow.parquet as pq

ROWS, BYTES = 50_000, 32 << 20
"""A piece is written when it has so many rows or bytes."""


class NoText(Exception):
    """A value that nobody here knows how to write. `column`: its place; `type_`: what it is. Never the value."""

    def __init__(self, column: int, type_: str) -> None:
        self.column, self.type_ = column, type_
        super().__init__(type_)


class TextFile:
    """A Parquet file of text columns; `rows` counts what was written."""

    def __init__(self, path: Path, names: Sequence[str]) -> None:
        self._schema = pa.schema([(name, pa.string()) for name in names])
        self._file = pq.ParquetWriter(path, self._schema, compression="zstd", compression_level=1)
        self._waiting: list[pa.RecordBatch] = []
        self.rows = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None:
            self._write()
        self._file.close()

    def add(self, columns: Sequence[pa.Array]) -> None:
        """Add rows, given as one array of texts for each column."""
        self._waiting.append(pa.record_batch(columns, schema=self._schema))
        self.rows += len(columns[0])
        rows = sum(len(batch) for batch in self._waiting)
        if rows >= ROWS or sum(batch.nbytes for batch in self._waiting) >= BYTES:
            self._write()

    def _write(self) -> None:
        if self._waiting:
            self._file.write_table(pa.Table.from_batches(self._waiting))
        self._waiting = []


def columns_of(rows: Iterable[Sequence[Any]], width: int) -> list[pa.Array]:
    """Rows of Python values as columns of texts. Raises NoText."""
    turned = list(zip(*rows, strict=True)) or [()] * width
    return [_column(values, place) for place, values in enumerate(turned)]


def _column(values: Sequence[Any], place: int) -> pa.Array:
    kinds = set(map(type, values)) - {type(None)}
    if kinds <= {str}:
        return pa.array(values, pa.string())
    try:
        return pa.array([None if value is None else text(value) for value in values], pa.string())
    except TypeError as error:
        raise NoText(place, str(error)) from None


def text(value: Any) -> str:
    """One value as text: numbers with all their digits, times as ISO 8601 with a blank, binary as hexadecimal digits.
    Raises TypeError, with the type's name alone, for a type whose text would be a guess."""
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int() | UUID():
            return str(value)
        case float():
            return repr(value)
        case Decimal():
            return format(value, "f")
        case datetime():
            return value.isoformat(" ")
        case date() | time():
            return value.isoformat()
        case timedelta():
            return _duration(value)
        case bytes() | bytearray() | memoryview():
            return value.hex()
    raise TypeError(type(value).__name__)


def _duration(value: timedelta) -> str:
    """Hours, minutes and seconds as SQL writes a TIME: hours may be many."""
    sign, rest = ("-", -value) if value < timedelta() else ("", value)
    minutes, seconds = divmod(rest.days * 86_400 + rest.seconds, 60)
    fraction = f".{rest.microseconds:06}" if rest.microseconds else ""
    return f"{sign}{minutes // 60:02}:{minutes % 60:02}:{seconds:02}{fraction}"
