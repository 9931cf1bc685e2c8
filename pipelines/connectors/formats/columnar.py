"""Format `parquet`: every type as text that gives the value again, nested ones as JSON, bytes in hexadecimal."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.codecs.sql import identifier, literal
from pipelines.connectors.base import UNREAD, Request, header_names
from pipelines.connectors.formats.table import FormatAbout, LocalFile, Table, formats, numbered
from pipelines.engine import connect
from pipelines.lake.errors import disk_full_named
from pipelines.lake.parquet import write_file

WIDEST_DECIMAL = 38
"""Digits that DuckDB keeps. It would read a wider decimal as a floating point number."""


@formats.register(FormatAbout())
def parquet(file: LocalFile) -> Table:
    """All columns as text with all that they say, rows in the file's order. Times with a zone come in UTC, empty texts
    as none.

    Raises CitylakeError for what is no Parquet, for text that is no UTF-8, and for types that no text can keep.
    """
    try:
        columns = _columns(file.path)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise file.error("format.unreadable", format="parquet", problem=type(error).__name__) from None
    for name, kind in columns:
        if not _can_be_kept(kind):
            raise file.error("format.type", column=name, type=str(kind))
    names = header_names([name for name, _ in columns], file.origin, file.request.owner)
    rows = range(pq.read_metadata(file.path).num_rows)
    return Table(names, lambda request: _copied(file, names, request), numbered(file, lambda: rows))


def _copied(file: LocalFile, names: tuple[str, ...], request: Request) -> int:
    with _named(file, request) as path, connect(request.scratch) as con:
        con.execute("SET preserve_insertion_order = true")
        source = f"read_parquet({literal(str(path))}, hive_partitioning = false)"
        try:
            types = {name: kind for name, kind, *_ in con.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()}
            zoned = {name for name, kind in _columns(file.path) if _too_fine(kind)}
            texts = [f"{_text(identifier(name), types[name], name in zoned)} AS {identifier(name)}" for name in names]
            with disk_full_named(request.target.parent):
                query = f"SELECT {', '.join(texts)}, NULL::VARCHAR AS {identifier(UNREAD)} FROM {source}"
                return write_file(con, query, request.target)
        except duckdb.OutOfMemoryException:
            raise  # this machine's, not the file's
        except (duckdb.Error, UnicodeDecodeError) as error:  # a message may quote what is no text
            raise file.error("format.unreadable", format="parquet", problem=type(error).__name__) from None


@contextmanager
def _named(file: LocalFile, request: Request) -> Iterator[Path]:
    """The file under a name without wildcards: DuckDB takes a name for a pattern. Nanoseconds with a zone are without
    it there."""
    request.scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=request.scratch, prefix="parquet-") as folder:
        path = Path(folder) / "rows.parquet"
        if any(_too_fine(kind) for _, kind in _columns(file.path)):
            _in_utc(file.path, path)
        else:
            path.symlink_to(file.path.resolve())
        yield path


def _columns(path: Path) -> list[tuple[str, pa.DataType]]:
    return [(column.name, column.type) for column in pq.read_schema(path)]


def _too_fine(kind: pa.DataType) -> bool:
    """Whether it is a time of which DuckDB keeps microseconds only, though it keeps nanoseconds without a zone."""
    return bool(pa.types.is_timestamp(kind) and kind.unit == "ns" and kind.tz is not None)


def _in_utc(source: Path, target: Path) -> None:
    """Copy a file with its nanoseconds as times of UTC that have no zone."""
    with pq.ParquetFile(source) as file:
        fields = [one.with_type(pa.timestamp("ns")) if _too_fine(one.type) else one for one in file.schema_arrow]
        schema = pa.schema(fields)
        with pq.ParquetWriter(target, schema) as writer:
            for batch in file.iter_batches():
                columns = (
                    column.cast(pa.int64()).cast(one.type) if _too_fine(column.type) else column
                    for column, one in zip(batch.columns, fields, strict=True)
                )
                writer.write_batch(pa.RecordBatch.from_arrays(list(columns), schema=schema))


def _text(column: str, kind: str, in_utc: bool) -> str:
    if in_utc:
        return f"{column}::VARCHAR || '+00'"
    if kind == "VARCHAR":
        return f"nullif({column}, '')"
    if kind == "BLOB":
        return f"nullif(lower(hex({column})), '')"
    if kind.endswith("]") or kind.startswith(("STRUCT", "MAP")):
        return f"to_json({column})::VARCHAR"
    return f"{column}::VARCHAR"


def _can_be_kept(kind: pa.DataType, nested: bool = False) -> bool:
    """Whether DuckDB reads a type as it is: no decimal is too wide, no time too fine, and JSON has no bytes inside."""
    if pa.types.is_decimal(kind):
        return bool(kind.precision <= WIDEST_DECIMAL)
    if pa.types.is_nested(kind):
        return all(_can_be_kept(kind.field(place).type, True) for place in range(kind.num_fields))
    if nested and _too_fine(kind):
        return False
    if pa.types.is_time64(kind):
        return bool(kind.unit == "us")  # DuckDB cuts nanoseconds off
    return not (nested and (pa.types.is_binary(kind) or pa.types.is_large_binary(kind)))
