"""Connector `database`: a table of PostgreSQL, streamed by DuckDB's postgres_scanner inside one read-only snapshot.

The fast path: rows go from COPY BINARY into Parquet without touching Python. With a cursor only rows from the last
position on are asked for, by a condition that PostgreSQL itself answers.
"""

import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from urllib.parse import quote

import duckdb
from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from pipelines.codecs.sql import identifier, literal
from pipelines.connectors.base import About, Pulled, Request, connectors, require_columns
from pipelines.engine import connect, load_extension
from pipelines.lake.errors import NO_SPACE
from pipelines.messages import CitylakeError

_TEXT_TIMES = {
    r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}": "%Y-%m-%d %H:%M:%S",
    r"[0-9]{14}": "%Y%m%d%H%M%S",
}
"""Times that departments keep as text, as RE2 patterns, with the form of strptime. Both sort as text."""


@connectors.register(About(asks=True))
def database(request: Request, *, connection: str, table: str) -> Pulled | None:
    """Pull `schema.table`. Raises CitylakeError if the server, the table or a column of the contract is missing."""
    try:
        return _pull(request, connection, table)
    except duckdb.Error as error:
        if NO_SPACE.search(str(error)):
            raise
        problem = _safe(error, request.secret(connection))
        raise CitylakeError("pull.unreachable", connection=connection, problem=problem, owner=request.owner) from None


def _pull(request: Request, connection: str, table: str) -> Pulled | None:
    schema, _, name = table.partition(".")
    with connect(request.scratch) as con:
        load_extension(con, "postgres_scanner")
        con.execute(f"ATTACH {literal(request.secret(connection))} AS source (TYPE postgres, READ_ONLY)")
        columns = _columns(con, schema, name, connection, table)
        require_columns(request, list(columns), table)
        kind = _cursor_kind(request, columns)
        wanted = ", ".join(identifier(column) for column in columns)
        query = f"SELECT {wanted} FROM source.{identifier(schema)}.{identifier(name)}{_condition(request, kind)}"
        options = "FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1"
        row = con.execute(f"COPY ({query}) TO {literal(request.target)} ({options})").fetchone()
        rows = int(row[0]) if row else 0
        if request.cursor is not None and not rows:
            return None
        position = _position(con, request, kind)
    return Pulled(rows, tuple(columns), f"{connection}:{table}", position)


def _cursor_kind(request: Request, columns: Mapping[str, str]) -> str:
    """The type of the cursor column: TIMESTAMP, DATE, an integer, or VARCHAR for a time written as text."""
    if request.cursor is None:
        return ""
    kind = columns[request.cursor.column].split("(")[0]
    if kind.startswith("TIMESTAMP"):
        return "TIMESTAMP"
    if kind in ("DATE", "VARCHAR", "SMALLINT", "INTEGER", "BIGINT"):
        return kind
    raise CitylakeError("pull.cursor_type", column=request.cursor.column, type=kind, owner=request.owner)


def _condition(request: Request, kind: str) -> str:
    """Rows from the last position on, less the overlap. Rows without a cursor value come each time: admission refuses
    them, and nobody else would ever see them."""
    if request.cursor is None or "value" not in request.position:
        return ""
    column = identifier(request.cursor.column)
    start = _less(str(request.position["value"]), request.cursor.overlap, kind)
    if kind in ("TIMESTAMP", "DATE"):
        return f" WHERE {column} >= {kind} {literal(start)} OR {column} IS NULL"
    return f" WHERE {column} >= {literal(start) if kind == 'VARCHAR' else start} OR {column} IS NULL"


def _less(value: str, overlap: int, kind: str) -> str:
    """A position an overlap earlier, in the form it is written in."""
    if kind == "DATE":
        return (date.fromisoformat(value) - timedelta(days=overlap)).isoformat()
    if kind == "TIMESTAMP":
        return (datetime.fromisoformat(value) - timedelta(seconds=overlap)).isoformat(" ")
    if kind == "VARCHAR":
        form = next(form for pattern, form in _TEXT_TIMES.items() if re.fullmatch(pattern, value))
        return (datetime.strptime(value, form) - timedelta(seconds=overlap)).strftime(form)
    return str(int(value) - overlap)


def _position(con: duckdb.DuckDBPyConnection, request: Request, kind: str) -> dict[str, str]:
    """The greatest cursor value that came, but none of the future: a wrong year would stop the source for ever."""
    if request.cursor is None:
        return {}
    column = identifier(request.cursor.column)
    tomorrow = datetime.now() + timedelta(days=1)
    believable = {
        "TIMESTAMP": f"{column} <= TIMESTAMP {literal(tomorrow.isoformat(' '))}",
        "DATE": f"{column} <= DATE {literal(tomorrow.date().isoformat())}",
        "VARCHAR": " OR ".join(
            f"(regexp_full_match({column}, {literal(pattern)}) AND {column} <= {literal(tomorrow.strftime(form))})"
            for pattern, form in _TEXT_TIMES.items()
        ),
    }.get(kind, "true")
    query = f"SELECT max({column})::VARCHAR FROM read_parquet({literal(request.target)}) WHERE {believable}"
    found = con.execute(query).fetchone()
    greatest = found[0] if found and found[0] is not None else request.position.get("value")
    return {} if greatest is None else {"value": greatest}


def _columns(con: duckdb.DuckDBPyConnection, schema: str, name: str, connection: str, table: str) -> dict[str, str]:
    """The columns of the table with DuckDB's types, in the source's order."""
    query = (
        "SELECT column_name, data_type FROM duckdb_columns() WHERE database_name = 'source' "
        f"AND schema_name = {literal(schema)} AND table_name = {literal(name)} ORDER BY column_index"
    )
    columns = dict(con.execute(query).fetchall())
    if not columns:
        raise CitylakeError("pull.no_table", connection=connection, table=table, problem="no columns visible")
    return columns


def _safe(error: Exception, dsn: str) -> str:
    """The first line of a driver's message without the connection string or any part of it that is secret."""
    text = str(error).strip().splitlines()[0].replace(dsn, "…")
    try:
        secrets = {str(value) for key, value in conninfo_to_dict(dsn).items() if key == "password"}
    except ProgrammingError:
        return type(error).__name__  # a string that cannot be read may be anything, a bare password too
    for secret in {*secrets, *map(quote, secrets)}:
        text = text.replace(secret, "***")
    return text[:300]
