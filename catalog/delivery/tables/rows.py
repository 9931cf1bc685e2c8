"""The rows that a table of a recipient holds: the columns of a view and two of our own.

`_citylake_row` names a row whatever the types of its key: the SHA-256 of the key's values, or, where no shown key names
rows, of all values and how many equal rows go before. `_citylake_check` is a 48-bit number made of all values; with the
number of rows their sum tells whether a table holds what was sent.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb

from catalog.delivery.changes import BEFORE, CHANGE_TYPE, DELETE
from catalog.delivery.extracts import Extract
from pipelines.codecs.sql import identifier, literal

ROW, CHECK = "_citylake_row", "_citylake_check"
BATCH = 20_000
"""Rows that are sent after one look at the grant and one row of the audit."""
NAMED = 3
"""Rows that an error names."""


@dataclass(frozen=True)
class Totals:
    """How many rows a table holds and the sum of their checks."""

    rows: int
    checksum: int


@dataclass(frozen=True)
class Room:
    """How long the values of a column may be at the recipient's: `most` characters, or bytes."""

    column: str
    most: int
    in_bytes: bool = False


@dataclass(frozen=True)
class TooLong:
    """The values that a column has no room for: how long the longest is, in how many rows, the first of them by key."""

    longest: int
    rows: int
    first: tuple[str, ...]


@dataclass(frozen=True)
class Batch:
    """Rows to write, in the order of the columns, then `_citylake_row` and `_citylake_check`; or the names of rows to
    delete."""

    put: list[tuple[Any, ...]]
    drop: list[str]


def totals(con: duckdb.DuckDBPyConnection, extract: Extract) -> Totals:
    """What a table must hold after the extract was delivered."""
    checks = f"SELECT count(*), coalesce(sum({_check(extract.columns)}), 0)::HUGEINT FROM {extract.relation}"
    rows, checksum = con.execute(checks).fetchall()[0]
    return Totals(int(rows), int(checksum))


def too_long(con: duckdb.DuckDBPyConnection, extract: Extract, room: Room, key: Sequence[str]) -> TooLong | None:
    """What of a column there is no room for, None if there is for all. `key`: the columns by which rows may be told."""
    column, types = identifier(room.column), {field["name"]: field["type"] for field in extract.fields}
    size = "octet_length" if types[room.column] == "binary" else "strlen" if room.in_bytes else "length"
    over = f"FROM {extract.relation} WHERE {size}({column}) > {room.most}"
    count, longest = con.execute(f"SELECT count(*), max({size}({column})) {over}").fetchall()[0]
    if not count:
        return None
    listed = _listed(key)
    named = con.execute(f"SELECT {listed} {over} ORDER BY {listed} LIMIT {NAMED}").fetchall() if key else []
    told = (" ".join(f"{name}={value}" for name, value in zip(key, row, strict=True)) for row in named)
    return TooLong(int(longest), int(count), tuple(told))


def all_rows(con: duckdb.DuckDBPyConnection, extract: Extract, key: Sequence[str], after: str = "") -> Iterator[Batch]:
    """The whole of an extract in the order of the names of rows, or what comes `after` one. `key` is empty where none
    names rows."""
    columns = _listed(extract.columns)
    same = f"row_number() OVER (PARTITION BY {columns})"
    # in the order of the primary key, in which MySQL keeps rows
    query = f"""SELECT * FROM (
            SELECT {columns}, {_name(extract.columns, key, same)}, {_check(extract.columns)} FROM {extract.relation}
        ) WHERE {ROW} > {literal(after)} ORDER BY {ROW}"""
    for rows in _batches(con, query):
        yield Batch(rows, [])


def changed_rows(
    con: duckdb.DuckDBPyConnection, changes: Extract, before: Extract, key: Sequence[str]
) -> Iterator[Batch]:
    """What a change set does to the rows of `before`: first the rows that go, then those that come or change."""
    shown = tuple(name for name in changes.columns if name != CHANGE_TYPE)
    columns = _listed(shown)
    if key:
        source, number = f"(SELECT * FROM {changes.relation})", "0"
    else:
        equal = " AND ".join(f"c.{identifier(name)} IS NOT DISTINCT FROM h.{identifier(name)}" for name in shown)
        own = _listed(shown, "c.")
        source = f"""(
            SELECT {own}, c.{CHANGE_TYPE}, CASE WHEN c.{CHANGE_TYPE} = {literal(DELETE)} THEN h.had - c.place + 1
                ELSE coalesce(h.had, 0) + c.place END AS _place
            FROM (
                SELECT *, row_number() OVER (PARTITION BY {columns}, {CHANGE_TYPE}) AS place FROM {changes.relation}
            ) c
            LEFT JOIN (SELECT {columns}, count(*) AS had FROM {before.relation} GROUP BY {columns}) h ON {equal}
        )"""
        number = "_place"
    names = _name(shown, key, number)
    gone = f"SELECT {names} FROM {source} WHERE {CHANGE_TYPE} = {literal(DELETE)}"
    for rows in _batches(con, gone):
        yield Batch([], [row[0] for row in rows])
    come = f"""SELECT {columns}, {names}, {_check(shown)} FROM {source}
        WHERE {CHANGE_TYPE} NOT IN ({literal(DELETE)}, {literal(BEFORE)})"""
    for rows in _batches(con, come):
        yield Batch(rows, [])


def _batches(con: duckdb.DuckDBPyConnection, query: str) -> Iterator[list[tuple[Any, ...]]]:
    with con.cursor() as cursor:
        cursor.execute(query)
        while rows := cursor.fetchmany(BATCH):
            yield rows


def _name(columns: Sequence[str], key: Sequence[str], number: str) -> str:
    named = _text(key) if key else f"{_text(columns)} || ' ' || {number}"
    return f"sha256({named}) AS {ROW}"


def _check(columns: Sequence[str]) -> str:
    return f"(md5_number_lower({_text(columns)}) >> 16)::BIGINT"


def _text(columns: Sequence[str]) -> str:
    """Values as one text that no other values have."""
    return f"to_json([{', '.join(f'CAST({identifier(name)} AS VARCHAR)' for name in columns)}])::VARCHAR"


def _listed(columns: Sequence[str], prefix: str = "") -> str:
    return ", ".join(f"{prefix}{identifier(name)}" for name in columns)
