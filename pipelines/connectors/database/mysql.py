"""MySQL and MariaDB: a table in one consistent read-only snapshot, streamed over one connection, all values as text.

Asked through PyMySQL, decoded by `mysql_rows` (decision 0017). DuckDB's mysql_scanner is not used: it turns a zero
time into NULL and a tinyint(1) of 2 into true, and stops at dates that do not exist.
"""

from collections.abc import Iterator, Mapping
from contextlib import closing
from ssl import SSLError
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pymysql
import sqlalchemy as sa
from pymysql.cursors import SSCursor
from sqlalchemy.dialects import mysql

from pipelines.connectors.base import Pulled, Request, require_columns, taken
from pipelines.connectors.database import mysql_rows, patience
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
from pipelines.connectors.database.texts import TextFile
from pipelines.messages import CitylakeError

_OPTIONS = ("ssl_ca", "ssl_cert", "ssl_key", "unix_socket")
_SESSION = (
    "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
    "SET SESSION TRANSACTION READ ONLY",
    # A TIMESTAMP is a moment: shown in UTC it says which. No mode may pad texts or turn what is stored into an error.
    "SET SESSION time_zone = '+00:00', sql_mode = '', net_write_timeout = 3600",
    "START TRANSACTION WITH CONSISTENT SNAPSHOT",
)
_KINDS = {
    "datetime": Kind.TIME,
    "timestamp": Kind.ZONED,
    "date": Kind.DATE,
    **dict.fromkeys(("tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "year"), Kind.NUMBER),
    **dict.fromkeys(("char", "varchar", "tinytext", "text", "mediumtext", "longtext"), Kind.TEXT),
}
_SHAPES = ("geometry", "point", "linestring", "polygon", "multipoint", "multilinestring", "multipolygon")
_BINARY = {
    *("binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob", "vector"),
    *_SHAPES,
    *("geometrycollection", "geomcollection"),
}
_DIALECT = mysql.dialect(paramstyle="named")  # others double every % in a name
_YEAR_ONE = "0001-01-01"


def pull(request: Request, connection: str, table: str, address: str) -> Pulled | None:
    """Pull `database.table`, or `table` of the database that the connection string names."""
    try:
        con = connect(connection, address)
    except (pymysql.MySQLError, sa.exc.ArgumentError, ValueError, OSError) as error:
        raise unreachable(request, connection, error, address) from None
    try:
        with closing(con):
            return _pull(request, connection, table, con)
    except (pymysql.MySQLError, mysql_rows.Broken, ConnectionError, TimeoutError, SSLError) as error:
        raise unreachable(request, connection, error, address) from None


def connect(connection: str, address: str) -> Any:
    """A connection of the driver. Raises its errors, ValueError or OSError, CitylakeError for an unknown option."""
    url = sa.make_url(address)
    unknown = sorted(set(url.query) - {*_OPTIONS, "charset"})
    if unknown:
        known = "、".join(_OPTIONS)
        raise CitylakeError("pull.database_option", connection=connection, option="、".join(unknown), known=known)
    options = {name: url.query[name] for name in _OPTIONS if name in url.query}
    con: Any = pymysql.connect(
        host=url.host or "localhost",
        port=url.port or 3306,
        user=url.username,
        password=url.password or "",
        database=url.database or None,
        charset="utf8mb4",
        connect_timeout=patience.CONNECT,
        read_timeout=patience.CONNECT,  # the driver's connect_timeout ends before the server has said anything
        **options,
    )
    con._read_timeout = patience.SILENCE
    return con


def _pull(request: Request, connection: str, table: str, con: Any) -> Pulled | None:
    schema, _, name = table.rpartition(".")
    for statement in (f"SET SESSION lock_wait_timeout = {patience.LOCK}", *_SESSION):
        con.query(statement)
    columns = _columns(con, schema, name)
    if not columns:
        raise no_table(connection, table)
    require_columns(request, list(columns), table)
    columns = taken(request, columns)
    reading = _reading(request, columns)
    query = _query(schema, name, columns, reading) + limit(request)
    with TextFile(request.target, list(columns)) as file:
        for block in _blocks(con, query, len(columns)):
            file.add([_text(request, values, *column) for values, column in zip(block, columns.items(), strict=True)])
    if reading is not None and not file.rows:
        return None
    return Pulled(file.rows, tuple(columns), f"{connection}:{table}", reading.position() if reading else {})


def _columns(con: Any, schema: str, name: str) -> dict[str, str]:
    """The columns of the table with their types without lengths, in the source's order; empty if there is none."""
    with con.cursor() as cursor:
        cursor.execute(
            "SELECT column_name, data_type FROM information_schema.columns "
            "WHERE table_schema = coalesce(%s, database()) AND table_name = %s ORDER BY ordinal_position",
            (schema or None, name),
        )
        return {column: str(type_).lower() for column, type_ in cursor.fetchall()}


def _query(schema: str, name: str, columns: Mapping[str, str], reading: Reading | None) -> str:
    table = sa.table(sa.quoted_name(name, True), schema=sa.quoted_name(schema, True) if schema else None)
    query = sa.select(*(_selected(column, type_) for column, type_ in columns.items())).select_from(table)
    condition = reading.condition() if reading else None
    if condition is not None:
        query = query.where(condition)
    return str(query.compile(dialect=_DIALECT, compile_kwargs={"literal_binds": True}))


def _selected(name: str, type_: str) -> sa.ColumnElement[Any]:
    column = named(name)
    if type_ == "float":  # the server writes six digits of it, but all of a double
        return (column + sa.literal_column("0e0")).label(sa.quoted_name(name, True))
    if type_ == "bit":
        return (column + sa.literal_column("0")).label(sa.quoted_name(name, True))
    return column


def _blocks(con: Any, query: str, width: int) -> Iterator[list[pa.Array]]:
    """The result of a query. What the driver has read ahead comes through the same file as the rest."""
    cursor = con.cursor(SSCursor)
    cursor.execute(query)
    # From here on the rows are ours: else the driver would wait for their end when it is closed.
    cursor._result.unbuffered_active = False
    try:
        yield from mysql_rows.blocks(con._rfile.read1, width)
    except mysql_rows.Refused as refused:
        pymysql.err.raise_mysql_exception(refused.packet)


def _text(request: Request, values: pa.Array, name: str, type_: str) -> pa.Array:
    """One column as text. Binary values as hexadecimal digits, a TIMESTAMP with its zone."""
    if type_ in _BINARY:
        return pa.array([None if value is None else value.hex() for value in values.to_pylist()], pa.string())
    try:
        texts = values.cast(pa.string())
    except pa.ArrowInvalid:
        raise CitylakeError("pull.not_text", column=name, owner=request.owner) from None
    if type_ == "timestamp":
        zoned = pc.binary_join_element_wise(texts, "+00", "")
        return pc.if_else(pc.starts_with(texts, "0000-00-00"), texts, zoned)
    if type_ == "float":
        return texts.cast(pa.float64()).cast(pa.float32()).cast(pa.string())
    return texts


def _reading(request: Request, columns: Mapping[str, str]) -> Reading | None:
    if request.cursor is None:
        return None
    return Reading(request, [_column(request, name, columns[name]) for name in request.cursor.columns])


def _column(request: Request, name: str, type_: str) -> Column:
    kind = require_kind(request, name, _KINDS.get(type_), type_)
    column, text = named(name), sa.cast(named(name), sa.CHAR)
    timely = kind in (Kind.TIME, Kind.ZONED, Kind.DATE)
    nothing = column < _YEAR_ONE if timely else None  # 0000-00-00
    return Column(kind, column, text, without_digits(text), nothing, _in_utc)


def _in_utc(value: Any) -> sa.ColumnElement[Any]:
    """A value to compare with; a moment as the session, which is in UTC, writes it."""
    return sa.literal(value.replace(tzinfo=None) if hasattr(value, "tzinfo") else value)
