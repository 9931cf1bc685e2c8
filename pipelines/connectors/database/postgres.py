"""PostgreSQL: a table streamed by DuckDB's postgres_scanner inside one read-only snapshot, over one connection.

The extension is loaded once a process: to check its signature costs more than to pull a small table. The rows go from
COPY BINARY into Parquet without touching Python. With a cursor only rows from the last position on are asked for, by
SQL of our own: DuckDB would fetch the whole table and then look for them.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import duckdb
import sqlalchemy as sa
from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from sqlalchemy.dialects import postgresql

from pipelines.codecs.sql import identifier, literal
from pipelines.connectors.base import LOOKED_AT, Pulled, Request, require_columns, taken
from pipelines.connectors.database import patience
from pipelines.connectors.database.cursors import Column, Kind, Reading, limit, named, require_kind
from pipelines.connectors.database.failures import no_table, unreachable
from pipelines.engine import connect, load_extension
from pipelines.lake.errors import NO_SPACE
from pipelines.lake.parquet import write_file

_KINDS = {
    "timestamp without time zone": Kind.TIME,
    "timestamp with time zone": Kind.ZONED,
    "date": Kind.DATE,
    **dict.fromkeys(("smallint", "integer", "bigint", "numeric"), Kind.NUMBER),
    **dict.fromkeys(("text", "character varying", "character"), Kind.TEXT),
}
_EXACT = {*_KINDS, "boolean", "real", "double precision", "uuid"} - {"numeric"}
"""Types that DuckDB takes over exactly. It loses digits of long numerics, turns NaN into 0, cuts intervals and arrays
into forms of its own: those come as PostgreSQL writes them."""
_ONE_PULL = threading.Lock()
_DIALECT = postgresql.dialect(paramstyle="named")  # type: ignore[no-untyped-call]  # others double every % in a name


def pull(request: Request, connection: str, table: str, address: str) -> Pulled | None:
    """Pull `schema.table`. `address`: a connection string in either of libpq's forms."""
    told = address  # the string that messages quote, with its password
    try:
        # A server of a Chinese encoding must translate: DuckDB takes every text for UTF-8.
        told = make_conninfo(address, client_encoding="UTF8", **patient(address))
        return _pull(request, connection, table, told)
    except (duckdb.Error, ProgrammingError) as error:
        if NO_SPACE.search(str(error)):
            raise
        raise unreachable(request, connection, error, told) from None


def patient(address: str) -> dict[str, str | int]:
    """What libpq does about a server or a network that is silent, where the connection string does not say it."""
    wanted: dict[str, str | int] = {
        "options": f"-c lock_timeout={patience.LOCK}s",
        "connect_timeout": patience.CONNECT,
        "keepalives_idle": patience.PROBE,
        "keepalives_interval": patience.PROBE,
        "keepalives_count": patience.PROBES,
        "tcp_user_timeout": patience.PROBE * patience.PROBES * 1000,
    }
    return {name: value for name, value in wanted.items() if name not in conninfo_to_dict(address)}


def _pull(request: Request, connection: str, table: str, conninfo: str) -> Pulled | None:
    schema, _, name = table.partition(".")
    with _attached(request.scratch, conninfo) as con:
        columns = _columns(con, schema, name)
        if not columns:
            raise no_table(connection, table)
        some = f"SELECT * FROM {_rows(schema, name, columns, f' LIMIT {LOOKED_AT}')}"
        require_columns(request, list(columns), table, lambda: con.execute(some).fetchall())
        columns = taken(request, columns)
        reading = _reading(request, columns)
        rows = _rows(schema, name, columns, _where(reading) + limit(request))
        count = write_file(con, f"SELECT {', '.join(map(identifier, columns))} FROM {rows}", request.target)
    if reading is not None and not count:
        return None
    return Pulled(count, tuple(columns), f"{connection}:{table}", reading.position() if reading else {})


@contextmanager
def _attached(scratch: Path, conninfo: str) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that knows a server as `source`."""
    with _ONE_PULL:
        con = _database(scratch)
        try:
            con.execute(f"ATTACH {literal(conninfo)} AS source (TYPE postgres, READ_ONLY)")
            yield con
            con.execute("DETACH source")
        except BaseException:
            con.close()  # the server may still be attached
            _database.cache_clear()
            raise


@cache
def _database(scratch: Path) -> duckdb.DuckDBPyConnection:
    con = connect(scratch, alone=True)
    load_extension(con, "postgres_scanner")
    con.execute("SET pg_use_ctid_scan = false")  # by it every thread would open a connection of its own
    return con


def _columns(con: duckdb.DuckDBPyConnection, schema: str, name: str) -> dict[str, str]:
    """The columns of the table with PostgreSQL's types, without lengths, in the source's order; empty if there is none.

    DuckDB's own list of columns would not do: it calls a numeric without a precision a DOUBLE.
    """
    query = (
        "SELECT a.attname, format_type(coalesce(nullif(t.typbasetype, 0), t.oid), NULL) "
        "FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid "
        "JOIN pg_catalog.pg_class c ON c.oid = a.attrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
        f"WHERE n.nspname = {literal(schema)} AND c.relname = {literal(name)} AND a.attnum > 0 AND NOT a.attisdropped "
        "ORDER BY a.attnum"
    )
    return dict(con.execute(f"SELECT * FROM postgres_query('source', {literal(query)})").fetchall())


def _rows(schema: str, name: str, columns: Mapping[str, str], condition: str) -> str:
    """What to select from: the table as it is if DuckDB takes over all of it exactly, else a statement of ours."""
    table = f"{identifier(schema)}.{identifier(name)}"
    if not condition and _EXACT.issuperset(columns.values()):
        return f"source.{table}"
    wanted = ", ".join(_selected(column, type_) for column, type_ in columns.items())
    return f"postgres_query('source', {literal(f'SELECT {wanted} FROM {table}{condition}')})"


def _selected(name: str, type_: str) -> str:
    column = identifier(name)
    if type_ == "bytea":
        return f"encode({column}, 'hex') AS {column}"
    return column if type_ in _EXACT else f"{column}::text AS {column}"


def _reading(request: Request, columns: Mapping[str, str]) -> Reading | None:
    if request.cursor is None:
        return None
    return Reading(request, [_column(request, name, columns[name]) for name in request.cursor.columns])


def _column(request: Request, name: str, type_: str) -> Column:
    column = named(name)
    text = sa.cast(column, sa.Text)
    bare = sa.func.translate(text.concat("x"), "0123456789", "")
    return Column(require_kind(request, name, _KINDS.get(type_), type_), column, text, bare)


def _where(reading: Reading | None) -> str:
    condition = reading.condition() if reading else None
    if condition is None:
        return ""
    return f" WHERE {condition.compile(dialect=_DIALECT, compile_kwargs={'literal_binds': True})}"
