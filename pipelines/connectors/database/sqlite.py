"""SQLite: a table of a file, opened for reading only, in one transaction. A value is what it is, whatever its column
says: a text in an integer column comes as its text."""

import re
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite

from pipelines.codecs.sql import identifier, literal
from pipelines.connectors.base import Pulled, Request, require_columns, taken
from pipelines.connectors.database.cursors import (
    Column,
    Kind,
    Reading,
    limit,
    named,
    require_kind,
    without_digits,
)
from pipelines.connectors.database.failures import no_table, unreachable
from pipelines.connectors.database.texts import TextFile, columns_of
from pipelines.messages import CitylakeError

PIECE = 10_000
"""Rows fetched together."""
PATIENCE = 10.0
"""Seconds in which a writer must let go of the file."""
_NUMBERS = re.compile(r"int", re.IGNORECASE)
_TEXTS = re.compile(r"char|clob|text|date|time", re.IGNORECASE)
_NOT_TEXT = re.compile(r"Could not decode to UTF-8 column '(.*?)' with text")
_HIDDEN = 1
_DIALECT = sqlite.dialect(paramstyle="named")  # others double every % in a name


def pull(request: Request, connection: str, table: str, address: str) -> Pulled | None:
    """Pull `table`. `address`: sqlite:/// and the absolute path of the file."""
    try:
        with closing(opened(sa.make_url(address).database or "")) as con:
            return _pull(request, connection, table, con)
    except (sqlite3.Error, sa.exc.ArgumentError) as error:
        if found := _NOT_TEXT.match(str(error)):  # the rest of the message is the value
            raise CitylakeError("pull.not_text", column=found[1], owner=request.owner) from None
        raise unreachable(request, connection, error, address) from None


def opened(path: str) -> sqlite3.Connection:
    if not Path(path).is_absolute():
        raise sqlite3.OperationalError("the path of a file must be absolute")
    con = sqlite3.connect(f"file:{quote(path)}?mode=ro", uri=True, timeout=PATIENCE, isolation_level=None)
    con.execute("PRAGMA query_only = ON")
    return con


def _pull(request: Request, connection: str, table: str, con: sqlite3.Connection) -> Pulled | None:
    con.execute("BEGIN")
    columns = _columns(con, table)
    if not columns:
        raise no_table(connection, table)
    require_columns(request, list(columns), table)
    columns = taken(request, columns)
    reading = _reading(request, columns)
    ending = _where(reading) + limit(request)
    rows = con.execute(f"SELECT {', '.join(map(identifier, columns))} FROM {identifier(table)}{ending}")
    with TextFile(request.target, list(columns)) as file:
        while piece := rows.fetchmany(PIECE):
            file.add(columns_of(piece, len(columns)))
    if reading is not None and not file.rows:
        return None
    return Pulled(file.rows, tuple(columns), f"{connection}:{table}", reading.position() if reading else {})


def _columns(con: sqlite3.Connection, table: str) -> dict[str, str]:
    """The columns of the table with the types they were declared with; empty if there is none."""
    found = con.execute(f"SELECT name, type, hidden FROM pragma_table_xinfo({literal(table)})").fetchall()
    return {name: type_ for name, type_, hidden in found if hidden != _HIDDEN}


def _where(reading: Reading | None) -> str:
    condition = reading.condition() if reading else None
    if condition is None:
        return ""
    return f" WHERE {condition.compile(dialect=_DIALECT, compile_kwargs={'literal_binds': True})}"


def _reading(request: Request, columns: Mapping[str, str]) -> Reading | None:
    if request.cursor is None:
        return None
    return Reading(request, [_column(request, name, columns[name]) for name in request.cursor.columns])


def _column(request: Request, name: str, declared: str) -> Column:
    """A cursor column. SQLite has no times: they are texts, in columns that may be declared as anything."""
    kind = Kind.NUMBER if _NUMBERS.search(declared) else Kind.TEXT if _TEXTS.search(declared) else None
    kind = require_kind(request, name, kind, declared)
    text: Any = sa.cast(named(name), sa.Text)
    return Column(kind, text if kind is Kind.TEXT else named(name), text, without_digits(text))
