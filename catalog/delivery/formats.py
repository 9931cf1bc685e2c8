"""File formats of downloads: how the rows of a query become one file. Which rows those are is decided elsewhere.

CSV and Parquet are written as at release. JSON is one array of objects, NDJSON one object a line; both are UTF-8, with
null for NULL and for numbers JSON does not have, dates and times as in CSV. XLSX is a book of its own: `workbooks`;
layers are files of `layers`.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import duckdb

from pipelines.codecs.sql import identifier, literal
from pipelines.release.products import write_csv

Format = Literal["csv", "parquet", "json", "ndjson", "xlsx", "geojson", "gpkg", "geoparquet"]
MEDIA_TYPES: Mapping[Format, str] = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "json": "application/json",
    "ndjson": "application/x-ndjson; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
    "geojson": "application/geo+json",
    "gpkg": "application/geopackage+sqlite3",
    "geoparquet": "application/vnd.apache.parquet",
}
"""In the order pages offer them."""
NAMES: Mapping[Format, str] = {
    "csv": "CSV",
    "xlsx": "XLSX",
    "json": "JSON",
    "ndjson": "NDJSON",
    "parquet": "Parquet",
    "geojson": "GeoJSON",
    "gpkg": "GeoPackage",
    "geoparquet": "GeoParquet",
}
GEOGRAPHIC: tuple[Format, ...] = ("geojson", "gpkg", "geoparquet")
"""Of layers only; written by `layers`."""
FORMATS: tuple[Format, ...] = tuple(kind for kind in MEDIA_TYPES if kind not in GEOGRAPHIC)
"""Of every product."""

CSV_GROUP = 8_192
"""Rows that are read at once to be written as CSV; several such groups are in memory, as text."""

_TIMES = ("TIMESTAMP", "TIMESTAMP WITH TIME ZONE")
_FLOATS = ("FLOAT", "DOUBLE")


def _write_parquet(con: duckdb.DuckDBPyConnection, query: str, target: Path) -> None:
    con.execute(f"COPY ({query}) TO {literal(str(target))} (FORMAT parquet, COMPRESSION zstd)")


def _write_csv(con: duckdb.DuckDBPyConnection, query: str, target: Path) -> None:
    ordered = target.with_name("rows.parquet")
    con.execute(f"COPY ({query}) TO {literal(str(ordered))} (FORMAT parquet, ROW_GROUP_SIZE {CSV_GROUP})")
    write_csv(ordered, target)
    ordered.unlink()


def _write_json(con: duckdb.DuckDBPyConnection, query: str, target: Path) -> None:
    con.execute(f"COPY ({plain(con, query)}) TO {literal(str(target))} (FORMAT json, ARRAY true)")


def _write_ndjson(con: duckdb.DuckDBPyConnection, query: str, target: Path) -> None:
    con.execute(f"COPY ({plain(con, query)}) TO {literal(str(target))} (FORMAT json)")


WRITERS: Mapping[str, Callable[[duckdb.DuckDBPyConnection, str, Path], None]] = {
    "csv": _write_csv,
    "parquet": _write_parquet,
    "json": _write_json,
    "ndjson": _write_ndjson,
}


def plain(con: duckdb.DuckDBPyConnection, query: str) -> str:
    """The query with times as ISO 8601 text in UTC, and without the numbers that JSON cannot write."""
    columns = con.execute(f"DESCRIBE {query}").fetchall()
    shown = ", ".join(f"{_plain_value(identifier(name), kind)} AS {identifier(name)}" for name, kind, *_ in columns)
    return f"SELECT {shown} FROM ({query})"


def _plain_value(column: str, kind: str) -> str:
    if kind in _TIMES:  # the connection works in UTC
        return f"replace(cast({column} AS timestamp)::varchar, ' ', 'T') || 'Z'"
    return f"CASE WHEN isfinite({column}) THEN {column} END" if kind in _FLOATS else column
