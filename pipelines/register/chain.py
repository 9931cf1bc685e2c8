"""Hash chains: tables of the register whose rows name the hash of the row before (ledger, audit).

A row's hash covers everything in it, so a later change, deletion or reordering shows. Appending takes the writer's
place in the database first; there is one chain per table.
"""

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC
from functools import cache
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from pipelines.register.store import now
from pipelines.register.tables import NUMBER

FIRST = "0" * 64
_encode = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=str).encode


class Entry(NamedTuple):
    """A row to append, with the canonical text of its body. `basis`: the register's number that it was decided by; the
    row is written only while the register has it. None: it was decided by what was read for it."""

    row: Mapping[str, Any]
    body: str
    basis: int | None = None

    def stands(self, number: int | None) -> bool:
        """Whether it may be written while the register has this number."""
        return self.basis is None or self.basis == number


def canonical(value: Any) -> str:
    """JSON with sorted keys and no spaces: the text that is hashed."""
    return _encode(value)


def append(connection: sa.Connection, table: sa.Table, row: Mapping[str, Any], body: Any) -> dict[str, Any]:
    """Add one row at the end of the chain, inside the caller's writing transaction. Returns the row as stored."""
    (stored,) = append_all(connection, table, [(row, canonical(body))])
    return stored


def append_all(
    connection: sa.Connection, table: sa.Table, entries: Sequence[tuple[Mapping[str, Any], str]]
) -> list[dict[str, Any]]:
    """The same for several rows with the same columns, at least one, each with the canonical text of its body."""
    take_place(connection, table)
    last = connection.execute(newest(table)).first()
    found = linked((last.sequence, last.hash) if last else None, entries)
    connection.execute(_into(table), found)
    return found


def append_plainly(connection: sqlite3.Connection, table: sa.Table, entries: Sequence[Entry]) -> list[bool]:
    """`append_all` past SQLAlchemy, inside a transaction of `Register.begin_plainly`. The rows are the same. Which of
    them were written: those that stand."""
    ask, into, values = _plain_statements(table)
    last, number = connection.execute(ask).fetchall(), connection.execute(NUMBER).fetchall()
    written = [entry.stands(number[0][0] if number else None) for entry in entries]
    rows = linked(last[0] if last else None, pairs(entries, written))
    connection.executemany(into, map(values, rows))
    return written


def pairs(entries: Sequence[Entry], written: Sequence[bool]) -> list[tuple[Mapping[str, Any], str]]:
    """Those of them that are written."""
    return [(entry.row, entry.body) for entry, good in zip(entries, written, strict=True) if good]


def linked(last: tuple[int, str] | None, entries: Sequence[tuple[Mapping[str, Any], str]]) -> list[dict[str, Any]]:
    """The rows that follow a row of this number and hash, as they are to be stored."""
    sequence, previous = last or (0, FIRST)
    found = []
    for row, body in entries:
        sequence += 1
        stored = {**row, "sequence": sequence, "at": now(), "body": body, "previous": previous}
        previous = stored["hash"] = row_hash(stored)
        found.append(stored)
    return found


@cache
def newest(table: sa.Table) -> sa.Select[Any]:
    """The newest row of a chain; put together once, for the audit has a row of every read."""
    return sa.select(table.c.sequence, table.c.hash).order_by(table.c.sequence.desc()).limit(1)


@cache
def _into(table: sa.Table) -> sa.Insert:
    return sa.insert(table)


@cache
def _plain_statements(table: sa.Table) -> tuple[str, str, Callable[[Mapping[str, Any]], list[Any]]]:
    """The newest row and adding rows as text for SQLite, and the values of a row in their order, in the form that
    SQLAlchemy stores."""
    dialect = sqlite.dialect()
    processes = [(column.name, column.type.dialect_impl(dialect).bind_processor(dialect)) for column in table.c]

    def values(row: Mapping[str, Any]) -> list[Any]:
        return [process(row.get(name)) if process else row.get(name) for name, process in processes]

    literal = newest(table).compile(dialect=dialect, compile_kwargs={"literal_binds": True})
    return str(literal), str(_into(table).compile(dialect=dialect)), values


def take_place(connection: sa.Connection, table: sa.Table) -> None:
    """Wait until no other writer appends to a table, and keep others out until the transaction ends."""
    if connection.dialect.name == "postgresql":  # SQLite has one writer anyway
        connection.execute(sa.text(place_of(table)))


def place_of(table: sa.Table) -> str:
    """How PostgreSQL is told to keep others out."""
    return f"LOCK TABLE {table.name} IN SHARE ROW EXCLUSIVE MODE"


def row_hash(row: Mapping[str, Any]) -> str:
    """SHA-256 (hex) over `row_text`."""
    return hashlib.sha256(row_text(row).encode()).hexdigest()


def row_text(row: Mapping[str, Any]) -> str:
    """What is hashed of a row: all columns but the hash itself; times to the microsecond in UTC."""
    covered = {key: value for key, value in row.items() if key != "hash" and value is not None}
    at = covered["at"]  # SQLite gives UTC without a zone, PostgreSQL a time in the session's zone
    covered["at"] = (at.astimezone(UTC) if at.tzinfo else at).replace(tzinfo=None).isoformat(timespec="microseconds")
    return canonical(covered)


def digest(value: Any) -> str:
    """SHA-256 (hex) of the canonical JSON of a value as it reads once it was stored as JSON."""
    return hashlib.sha256(canonical(json.loads(json.dumps(value))).encode()).hexdigest()


def first_break(connection: sa.Connection, table: sa.Table) -> int | None:
    """The sequence number of the first row that does not fit the chain, or None if all do."""
    return first_unfit(map(dict, connection.execute(sa.select(table).order_by(table.c.sequence)).mappings()))


def first_unfit(rows: Iterable[Mapping[str, Any]], previous: str = FIRST, expected: int = 1) -> int | None:
    """The same of rows in order that follow a row of hash `previous`, the first of them to be number `expected`."""
    for row in rows:
        if row["sequence"] != expected or row["previous"] != previous or row_hash(row) != row["hash"]:
            return int(row["sequence"])
        previous, expected = row["hash"], expected + 1
    return None
