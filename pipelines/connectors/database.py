"""Connector `database`: a table of PostgreSQL, streamed by DuckDB's postgres_scanner inside one read-only snapshot.

The fast path: rows go from COPY BINARY into Parquet without touching Python.
"""

import re

import duckdb

from pipelines.codecs.sql import identifier, literal
from pipelines.connectors.base import Pulled, Request, connectors, require_columns
from pipelines.engine import connect, load_extension
from pipelines.lake.errors import NO_SPACE
from pipelines.messages import CitylakeError

_PASSWORD = re.compile(r"(password=|://[^:/@]+:)[^@\s]+")


@connectors.register(None)
def database(request: Request, *, connection: str, table: str) -> Pulled:
    """Pull `schema.table`. Raises CitylakeError if the server, the table or a column of the contract is missing."""
    schema, _, name = table.partition(".")
    with connect(request.scratch) as con:
        load_extension(con, "postgres_scanner")
        _attach(con, request, connection)
        columns = _columns(con, schema, name, connection, table)
        require_columns(request, columns, table)
        wanted = ", ".join(identifier(column) for column in columns)
        rows = _copy(con, f"SELECT {wanted} FROM source.{identifier(schema)}.{identifier(name)}", request, connection)
    return Pulled(rows, columns, f"{connection}:{table}")


def _attach(con: duckdb.DuckDBPyConnection, request: Request, connection: str) -> None:
    dsn = request.secret(connection)
    try:
        con.execute(f"ATTACH {literal(dsn)} AS source (TYPE postgres, READ_ONLY)")
    except duckdb.Error as error:
        raise _unreachable(request, connection, error) from None


def _columns(con: duckdb.DuckDBPyConnection, schema: str, name: str, connection: str, table: str) -> tuple[str, ...]:
    query = (
        "SELECT column_name FROM duckdb_columns() WHERE database_name = 'source' "
        f"AND schema_name = {literal(schema)} AND table_name = {literal(name)} ORDER BY column_index"
    )
    columns = tuple(row[0] for row in con.execute(query).fetchall())
    if not columns:
        raise CitylakeError("pull.no_table", connection=connection, table=table, problem="no columns visible")
    return columns


def _copy(con: duckdb.DuckDBPyConnection, query: str, request: Request, connection: str) -> int:
    options = "FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1"
    try:
        row = con.execute(f"COPY ({query}) TO {literal(request.target)} ({options})").fetchone()
    except duckdb.IOException as error:
        if NO_SPACE.search(str(error)):
            raise
        raise _unreachable(request, connection, error) from None
    return int(row[0]) if row else 0


def _unreachable(request: Request, connection: str, error: Exception) -> CitylakeError:
    return CitylakeError("pull.unreachable", connection=connection, problem=_safe(error), owner=request.owner)


def _safe(error: Exception) -> str:
    """The first line of a driver's message, without a password."""
    return _PASSWORD.sub(r"\1***", str(error).strip().splitlines()[0])[:300]
