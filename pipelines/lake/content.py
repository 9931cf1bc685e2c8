"""The content of a table as one hash that outlives engines, files and the order of rows; and how two contents differ.

**Canonical content hash**: SHA-256 (hex) over a head and the SHA-256 (lower-case hex) of every row, sorted. The head is
the JSON of `[name, type]` of the columns in order of their names, with SQL's names of types. A row is its cells in
that order: `-` for NULL, else the UTF-8 bytes of its text with their number and a colon before them (`3:abc`). Texts
are as they are, whole numbers and decimals in digits, booleans `true` and `false`, dates `YYYY-MM-DD`, times as
microseconds since 1970 in UTC, binary in upper-case hex, floating numbers the shortest text that reads back the same,
lists and structures as JSON.

Belongs here: that definition and its computation. Does not belong here: bytes of files (candidate, parquet).
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from pipelines.codecs.sql import identifier

BATCH = 65_536
"""Rows whose hashes are fetched at a time."""
_NESTED = ("STRUCT(", "MAP(")


@dataclass(frozen=True)
class Difference:
    """How two contents differ: rows that only the one has and only the other, and columns in which such rows differ."""

    only_one: int
    only_other: int
    columns: tuple[str, ...]


def content_hash(con: duckdb.DuckDBPyConnection, relation: str, types: Mapping[str, str]) -> str:
    """The canonical content hash of a relation. `types`: by column, as `delta.column_types` names them."""
    names = sorted(types)
    digest = hashlib.sha256(json.dumps([[name, types[name]] for name in names], ensure_ascii=False).encode())
    cells = ", ".join(_cell(name, types[name]) for name in names)
    hashes = con.execute(f"SELECT sha256(concat({cells})) AS row_hash FROM {relation} ORDER BY row_hash")
    for batch in hashes.to_arrow_reader(BATCH):
        digest.update(_bytes(batch.column(0)))
    return digest.hexdigest()


def difference(con: duckdb.DuckDBPyConnection, one: str, other: str, columns: Mapping[str, str]) -> Difference:
    """How two relations with these columns differ, by whole rows; no values."""
    listed = ", ".join(map(identifier, columns))
    first, second = (f"SELECT {listed} FROM {relation}" for relation in (one, other))
    con.execute(f"CREATE OR REPLACE TEMP TABLE only_one AS ({first}) EXCEPT ALL ({second})")
    con.execute(f"CREATE OR REPLACE TEMP TABLE only_other AS ({second}) EXCEPT ALL ({first})")
    return Difference(
        _count(con, "FROM only_one"),
        _count(con, "FROM only_other"),
        tuple(name for name in columns if _differs(con, identifier(name))),
    )


def _bytes(texts: pa.StringArray) -> memoryview:
    """The bytes of texts, one behind the other, as Arrow has them: as Python's objects a row would be dear."""
    _, ends, data = texts.buffers()
    places = memoryview(ends).cast("i")
    return memoryview(data)[places[texts.offset] : places[texts.offset + len(texts)]]


def _differs(con: duckdb.DuckDBPyConnection, name: str) -> bool:
    """Whether the rows of either side say different things in a column, however often."""
    one, other = (f"SELECT {name} FROM {table}" for table in ("only_one", "only_other"))
    return _count(con, f"FROM (({one}) EXCEPT ALL ({other})) UNION ALL (({other}) EXCEPT ALL ({one}))") > 0


def _count(con: duckdb.DuckDBPyConnection, query: str) -> int:
    ((count,),) = con.execute(f"SELECT count(*) FROM ({query})").fetchall()
    return int(count)


def _cell(name: str, kind: str) -> str:
    column = identifier(name)
    text = f"CAST({column} AS VARCHAR)"
    if kind.endswith("[]") or kind.startswith(_NESTED):
        text = f"CAST(to_json({column}) AS VARCHAR)"
    elif kind.startswith("TIMESTAMP"):
        text = f"CAST(epoch_us({column}) AS VARCHAR)"
    elif kind == "BLOB":
        text = f"hex({column})"
    return f"CASE WHEN {column} IS NULL THEN '-' ELSE strlen({text}) || ':' || {text} END"
