"""Connector `database`: a table of PostgreSQL, streamed by DuckDB's postgres_scanner inside one read-only snapshot.

The rows go from COPY BINARY into Parquet without touching Python. With a cursor only rows from the last position on
are asked for, by SQL of our own: DuckDB would fetch the whole table and then look for them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from urllib.parse import quote

import duckdb
from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pipelines.codecs.sql import identifier, literal
from pipelines.connectors.base import LOOKED_AT, About, Cursor, Pulled, Request, connectors, require_columns
from pipelines.engine import connect, load_extension
from pipelines.lake.errors import NO_SPACE
from pipelines.messages import CitylakeError

_TIMES = ("timestamp without time zone", "timestamp with time zone")
_NUMBERS = ("smallint", "integer", "bigint", "numeric")
_TEXTS = ("text", "character varying", "character")


@dataclass(frozen=True)
class _TextTime:
    """One way of writing a time that sorts as times do: for strptime, for LIKE, and what in it is no digit."""

    form: str
    shape: str
    marks: str

    def written(self, column: str) -> str:
        """The condition, for PostgreSQL and DuckDB alike, that a text is written so; the day may still not exist."""
        text = f"{column}::text"  # without the blanks that fill up a char(n)
        return f"({text} LIKE '{self.shape}' AND translate({text}, '0123456789', '') = '{self.marks}')"

    def render(self, moment: datetime) -> str:
        """A moment written so. Not by strftime, which leaves out leading zeros of years."""
        text = moment.isoformat(" ", "seconds")
        return text if self.marks else "".join(filter(str.isdigit, text))


_TEXT_TIMES = (
    _TextTime("%Y-%m-%d %H:%M:%S", "____-__-__ __:__:__", "-- ::"),
    _TextTime("%Y%m%d%H%M%S", "_" * 14, ""),
)


@connectors.register(About(asks=True))
def database(request: Request, *, connection: str, table: str) -> Pulled | None:
    """Pull `schema.table`. Raises CitylakeError if the server, the table or a column of the contract is missing."""
    dsn = request.secret(connection)
    try:
        # A server of a Chinese encoding must translate: DuckDB takes every text for UTF-8.
        dsn = make_conninfo(dsn, client_encoding="UTF8")
        return _pull(request, connection, table, dsn)
    except (duckdb.Error, ProgrammingError) as error:
        if NO_SPACE.search(str(error)):
            raise
        problem = _safe(error, dsn)
        raise CitylakeError("pull.unreachable", connection=connection, problem=problem, owner=request.owner) from None


def _pull(request: Request, connection: str, table: str, dsn: str) -> Pulled | None:
    schema, _, name = table.partition(".")
    with connect(request.scratch) as con:
        load_extension(con, "postgres_scanner")
        con.execute(f"ATTACH {literal(dsn)} AS source (TYPE postgres, READ_ONLY)")
        columns = _columns(con, schema, name)
        if not columns:
            raise CitylakeError("pull.no_table", connection=connection, table=table, problem="no columns visible")
        some = f"SELECT * FROM {_rows(schema, name, columns, f' LIMIT {LOOKED_AT}')}"
        require_columns(request, list(columns), table, lambda: con.execute(some).fetchall())
        kind = _cursor_type(request, columns)
        rows = _rows(schema, name, columns, _condition(request, kind))
        options = "FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1"
        row = con.execute(f"COPY (SELECT * FROM {rows}) TO {literal(request.target)} ({options})").fetchone()
        count = int(row[0]) if row else 0
        if request.cursor is not None and not count:
            return None
        value = _greatest(con, request, kind) if request.cursor else None
    return Pulled(count, tuple(columns), f"{connection}:{table}", {} if value is None else {"value": value})


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
    """What to select from. A plain table read whole is read in parallel; everything else by one statement of ours.

    Numerics are taken as text: DuckDB would lose the last digits of long ones and turn NaN into 0.
    """
    table = f"{identifier(schema)}.{identifier(name)}"
    if not condition and "numeric" not in columns.values():
        return f"source.{table}"
    wanted = ", ".join(
        f"{identifier(column)}::text AS {identifier(column)}" if type_ == "numeric" else identifier(column)
        for column, type_ in columns.items()
    )
    return f"postgres_query('source', {literal(f'SELECT {wanted} FROM {table}{condition}')})"


def _cursor_type(request: Request, columns: Mapping[str, str]) -> str:
    """The type of the cursor column, empty without one. Raises CitylakeError if it has no order to go on from."""
    if request.cursor is None:
        return ""
    kind = columns[request.cursor.column]
    if kind not in (*_TIMES, *_NUMBERS, *_TEXTS, "date"):
        raise CitylakeError("pull.cursor_type", column=request.cursor.column, type=kind, owner=request.owner)
    return kind


def _condition(request: Request, kind: str) -> str:
    """Rows from the last position on, less the overlap, and those whose cursor says nothing.

    The latter come each time: admission refuses them, and nobody else would ever see them. For texts this reads the
    whole table at the source, which an index cannot spare it; the rows stay there.
    """
    known = _known(request, kind)
    if request.cursor is None or known is None:
        return ""
    column, start = identifier(request.cursor.column), _less(known, request.cursor, kind)
    if kind in _TEXTS:
        return f" WHERE {column} >= {literal(start)} OR {column} IS NULL OR NOT {_text_time(known).written(column)}"
    return f" WHERE {column} >= {start if kind in _NUMBERS else f'{kind} {literal(start)}'} OR {column} IS NULL"


def _known(request: Request, kind: str) -> str | None:
    """Where the last pull ended; None also if that is no value of the column any more, because its type has changed
    or time began less than an overlap before it. Then all is read again, which core compares."""
    value = request.position.get("value")
    if request.cursor is None or value is None:
        return None
    try:
        _less(value, request.cursor, kind)
    except (ValueError, OverflowError):
        return None
    return str(value)


def _less(value: str, cursor: Cursor, kind: str) -> str:
    """A position an overlap earlier, in the form it is written in. Raises ValueError or OverflowError."""
    if kind == "date":
        return (date.fromisoformat(value) - timedelta(days=cursor.overlap)).isoformat()
    if kind in _NUMBERS:
        return str(int(value) - cursor.overlap)
    back = timedelta(seconds=cursor.overlap)
    if kind in _TIMES:
        return (datetime.fromisoformat(value) - back).isoformat(" ")
    way = _text_time(value)
    return way.render(datetime.strptime(value, way.form) - back)


def _text_time(value: str) -> _TextTime:
    return next(way for way in _TEXT_TIMES if bool(way.marks) == (not value.isdigit()))


def _greatest(con: duckdb.DuckDBPyConnection, request: Request, kind: str) -> str | None:
    """The greatest cursor value that came, or the last position when none did. None of the future counts: a wrong
    year would stop the source for ever."""
    assert request.cursor is not None
    known = _known(request, kind)
    column = identifier(request.cursor.column)
    tomorrow = datetime.now(UTC).replace(tzinfo=None, microsecond=0) + timedelta(days=1)
    if kind in _TEXTS:
        # A column keeps to the way it was written in when it was first read; other texts come each time.
        ways = [_text_time(known)] if known else list(_TEXT_TIMES)
        found = [_most(con, request, column, _text_condition(column, way, tomorrow)) for way in ways]
        return max(found, key=lambda one: one[0])[1] or known
    if kind in _NUMBERS:
        whole = f"try_cast(split_part({column}::VARCHAR, '.', 1) AS HUGEINT)"
        return _most(con, request, whole, "true")[1] or known
    return _most(con, request, column, f"{column} <= TIMESTAMP {literal(tomorrow.isoformat(' '))}")[1] or known


def _text_condition(column: str, way: _TextTime, latest: datetime) -> str:
    exists = f"try_strptime({column}, '{way.form}') IS NOT NULL"
    return f"{way.written(column)} AND {exists} AND {column} <= {literal(way.render(latest))}"


def _most(con: duckdb.DuckDBPyConnection, request: Request, value: str, condition: str) -> tuple[int, str | None]:
    """How many rows that came meet a condition, and the greatest value among them."""
    query = f"SELECT count(*), max({value})::VARCHAR FROM read_parquet({literal(request.target)}) WHERE {condition}"
    count, greatest = con.execute(query).fetchone() or (0, None)
    return int(count), greatest


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
