"""Connector `database`: a table of PostgreSQL, streamed by DuckDB's postgres_scanner inside one read-only snapshot.

The fast path: rows go from COPY BINARY into Parquet without touching Python.
"""

from urllib.parse import quote

import duckdb
from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from pipelines.codecs.sql import identifier, literal
from pipelines.connectors.base import About, Pulled, Request, connectors, require_columns
from pipelines.engine import connect, load_extension
from pipelines.lake.errors import NO_SPACE
from pipelines.messages import CitylakeError


@connectors.register(About(asks=True))
def database(request: Request, *, connection: str, table: str) -> Pulled:
    """Pull `schema.table`. Raises CitylakeError if the server, the table or a column of the contract is missing."""
    try:
        return _pull(request, connection, table)
    except duckdb.Error as error:
        if NO_SPACE.search(str(error)):
            raise
        problem = _safe(error, request.secret(connection))
        raise CitylakeError("pull.unreachable", connection=connection, problem=problem, owner=request.owner) from None


def _pull(request: Request, connection: str, table: str) -> Pulled:
    schema, _, name = table.partition(".")
    with connect(request.scratch) as con:
        load_extension(con, "postgres_scanner")
        con.execute(f"ATTACH {literal(request.secret(connection))} AS source (TYPE postgres, READ_ONLY)")
        columns = _columns(con, schema, name, connection, table)
        require_columns(request, columns, table)
        wanted = ", ".join(identifier(column) for column in columns)
        query = f"SELECT {wanted} FROM source.{identifier(schema)}.{identifier(name)}"
        options = "FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1"
        row = con.execute(f"COPY ({query}) TO {literal(request.target)} ({options})").fetchone()
    return Pulled(int(row[0]) if row else 0, columns, f"{connection}:{table}")


def _columns(con: duckdb.DuckDBPyConnection, schema: str, name: str, connection: str, table: str) -> tuple[str, ...]:
    query = (
        "SELECT column_name FROM duckdb_columns() WHERE database_name = 'source' "
        f"AND schema_name = {literal(schema)} AND table_name = {literal(name)} ORDER BY column_index"
    )
    columns = tuple(row[0] for row in con.execute(query).fetchall())
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
