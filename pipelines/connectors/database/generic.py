"""Every database that has a dialect for SQLAlchemy and no way of its own here: Oracle, SQL Server, 达梦, 人大金仓 ...

Rows are streamed from one connection in one transaction; what the driver returns is written as text, or refused. What
was tried with real servers, and what was not, is in docs/databases.md.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import ReflectedColumn

from pipelines.connectors.base import Pulled, Request, require_columns, taken
from pipelines.connectors.database import patience
from pipelines.connectors.database.cursors import Column, Kind, Reading, named, require_kind, without_digits
from pipelines.connectors.database.failures import no_table, unreachable
from pipelines.connectors.database.texts import NoText, TextFile, columns_of
from pipelines.messages import CitylakeError

PIECE = 5_000
"""Rows fetched together."""
_PACKAGES = {
    "postgresql+psycopg": "psycopg[binary]",
    "mysql+pymysql": "pymysql",
    "mariadb+pymysql": "pymysql",
    "oracle": "oracledb",
    "oracle+oracledb": "oracledb",
    "mssql": "pyodbc",
    "mssql+pyodbc": "pyodbc",
    "mssql+pymssql": "pymssql",
    "dm": "dmSQLAlchemy",
    "dm+dmpython": "dmSQLAlchemy",
    "kingbase": "ksycopg2",
    "kingbase+ksycopg2": "ksycopg2",
    "opengauss": "opengauss-sqlalchemy",
    "opengauss+psycopg2": "opengauss-sqlalchemy",
}
"""Scheme -> the package that brings the driver, with the dialect where SQLAlchemy has none."""
_SNAPSHOT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
_READ_ONLY = {
    **dict.fromkeys(("postgresql", "kingbase", "opengauss", "mysql", "mariadb"), _SNAPSHOT),
    **dict.fromkeys(("oracle", "dm"), "SET TRANSACTION READ ONLY"),
}
"""How a transaction becomes a snapshot that cannot write. Others have no such words: one statement reads it all."""


def pull(request: Request, connection: str, table: str, address: str) -> Pulled | None:
    """Pull `schema.table`, or `table` of the schema that the login sees first."""
    with failing(request, connection, table, address), closing(engine_of(address).connect()) as con:
        return _pull(request, connection, table, con)


@contextmanager
def failing(request: Request, connection: str, table: str, address: str) -> Iterator[None]:
    """What goes wrong on the way, told without secrets."""
    try:
        yield
    except (sa.exc.NoSuchModuleError, ModuleNotFoundError):
        scheme = re.split("://", address, maxsplit=1)[0].lower()
        package = _PACKAGES.get(scheme, "—")
        raise CitylakeError("pull.no_driver", connection=connection, scheme=scheme, package=package) from None
    except sa.exc.NoSuchTableError:
        raise no_table(connection, table) from None
    except sa.exc.SQLAlchemyError as error:
        shown = error.orig if isinstance(error, sa.exc.DBAPIError) and error.orig else error
        raise unreachable(request, connection, _as_error(shown), address) from None
    except (UnicodeError, OverflowError, ConnectionError, TimeoutError) as error:  # a driver's own
        raise unreachable(request, connection, error, address) from None


def _as_error(error: BaseException) -> Exception:
    return error if isinstance(error, Exception) else RuntimeError(type(error).__name__)


def engine_of(address: str) -> sa.Engine:
    """An engine that keeps no connections, quotes no values in its errors, and does not wait for ever."""
    url = sa.make_url(address)
    given = {name: value for name, value in patience.of_driver(url.get_driver_name()).items() if name not in url.query}
    return sa.create_engine(url, poolclass=sa.NullPool, hide_parameters=True, connect_args=given)


def _pull(request: Request, connection: str, table: str, con: sa.Connection) -> Pulled | None:
    if statement := _READ_ONLY.get(con.dialect.name):
        con.exec_driver_sql(statement)
    schema, _, name = table.rpartition(".")
    columns = {one["name"]: one for one in sa.inspect(con).get_columns(name, schema or None)}
    if not columns:
        raise no_table(connection, table)
    require_columns(request, list(columns), table)
    columns = taken(request, columns)
    reading = _reading(request, columns)
    query = sa.select(*map(named, columns)).select_from(sa.table(name, schema=schema or None))
    condition = reading.condition() if reading else None
    if condition is not None:
        query = query.where(condition)
    if request.most is not None:
        query = query.limit(request.most)
    # Values come as the driver makes them: SQLAlchemy's own conversions round decimals and stop at unknown codes.
    rows = con.execution_options(stream_results=True, yield_per=PIECE).execute(query)
    with TextFile(request.target, list(columns)) as file:
        for piece in rows.partitions():
            try:
                file.add(columns_of(piece, len(columns)))
            except NoText as found:
                column = list(columns)[found.column]
                raise CitylakeError("pull.cell_type", column=column, type=found.type_, owner=request.owner) from None
    if reading is not None and not file.rows:
        return None
    return Pulled(file.rows, tuple(columns), f"{connection}:{table}", reading.position() if reading else {})


def _reading(request: Request, columns: Mapping[str, ReflectedColumn]) -> Reading | None:
    if request.cursor is None:
        return None
    return Reading(request, [_column(request, name, columns[name]["type"]) for name in request.cursor.columns])


def _column(request: Request, name: str, type_: sa.types.TypeEngine[object]) -> Column:
    kind = require_kind(request, name, _kind(type_), type(type_).__name__)
    return Column(kind, named(name), named(name), without_digits(named(name)))


def _kind(type_: sa.types.TypeEngine[object]) -> Kind | None:
    if isinstance(type_, sa.DateTime):
        return Kind.ZONED if type_.timezone else Kind.TIME
    for class_, kind in ((sa.Date, Kind.DATE), (sa.Integer, Kind.NUMBER), (sa.Numeric, Kind.NUMBER)):
        if isinstance(type_, class_) and not isinstance(type_, sa.Float):
            return kind
    return Kind.TEXT if isinstance(type_, sa.String) else None
