"""What a database says of its tables: their names and remarks, and of columns types, remarks and keys.

Asked through SQLAlchemy over the connections with which tables are pulled. Rows are not looked at here.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
import sqlalchemy as sa
from psycopg.conninfo import make_conninfo

from pipelines.connectors.base import Request
from pipelines.connectors.database import generic, mysql, postgres, scheme_of, sqlite
from pipelines.connectors.database.failures import unreachable
from pipelines.messages import CitylakeError

SYSTEM = frozenset(
    {"information_schema", "pg_catalog", "pg_toast", "mysql", "performance_schema", "sys"}
    | {"SYS", "SYSTEM", "SYSDBA", "SYSAUDITOR", "SYSSSO", "CTISYS", "guest", "INFORMATION_SCHEMA"}
)
"""Schemas that belong to a server and to no department."""


@dataclass(frozen=True)
class Described:
    """A column by its database: its remark, its type as SQLAlchemy knows it, whether it may be empty."""

    comment: str
    type: sa.types.TypeEngine[Any]
    nullable: bool


@dataclass(frozen=True)
class DescribedTable:
    """A table or view: its remark, its columns, its keys, the primary one first."""

    comment: str
    columns: Mapping[str, Described]
    keys: Sequence[tuple[str, ...]]


def tables(request: Request, connection: str) -> list[str]:
    """The tables and views that the account sees, as contracts write them. Raises CitylakeError."""
    with _inspected(request, connection) as (inspector, way):
        if way in ("mysql", "sqlite"):
            return sorted([*inspector.get_table_names(), *inspector.get_view_names()])
        return sorted(
            f"{schema}.{name}"
            for schema in inspector.get_schema_names()
            if schema not in SYSTEM and not schema.startswith("pg_")
            for name in (*inspector.get_table_names(schema), *inspector.get_view_names(schema))
        )


def described(request: Request, connection: str, table: str) -> DescribedTable:
    """What a database says of one table. Raises CitylakeError, also for one that is not to be seen."""
    with _inspected(request, connection) as (inspector, _):
        schema, _, name = table.rpartition(".")
        place = schema or None
        columns = {
            one["name"]: Described(one.get("comment") or "", one["type"], bool(one.get("nullable", True)))
            for one in inspector.get_columns(name, place)
        }
        primary = tuple(_told(lambda: inspector.get_pk_constraint(name, place)["constrained_columns"], ()))
        unique = [
            tuple(one["column_names"]) for one in _told(lambda: inspector.get_unique_constraints(name, place), [])
        ]
        comment = _told(lambda: inspector.get_table_comment(name, place)["text"], "") or ""
    return DescribedTable(comment, columns, tuple(dict.fromkeys(key for key in (primary, *unique) if key)))


def _told(ask: Callable[[], Any], otherwise: Any) -> Any:
    """What an inspector tells; not every dialect can say everything, and a view has no keys."""
    try:
        return ask()
    except (NotImplementedError, sa.exc.NoSuchTableError):
        return otherwise


@contextmanager
def _inspected(request: Request, connection: str) -> Iterator[tuple[Any, str]]:
    """An inspector of a connection's database, and the way in that its scheme chooses."""
    address = request.secret(connection)
    way = scheme_of(address)
    with generic.failing(request, connection, "—", address):
        try:
            engine = _engine(way, connection, address)
            with closing(engine.connect()) as con:
                yield sa.inspect(con), way
        except (psycopg.Error, sa.exc.ArgumentError, OSError, ValueError) as error:
            if isinstance(error, CitylakeError):
                raise
            raise unreachable(request, connection, error, address) from None


def _engine(way: str, connection: str, address: str) -> sa.Engine:
    """An engine over the connection with which a table would be pulled."""
    if way == "postgresql":
        conninfo = make_conninfo(address, client_encoding="UTF8", **postgres.patient(address))
        return _over("postgresql+psycopg://", lambda: psycopg.connect(conninfo))
    if way == "mysql":
        return _over("mysql+pymysql://", lambda: mysql.connect(connection, address))
    if way == "sqlite":
        return _over("sqlite://", lambda: sqlite.opened(sa.make_url(address).database or ""))
    return generic.engine_of(address)


def _over(dialect: str, creator: Callable[[], Any]) -> sa.Engine:
    return sa.create_engine(dialect, creator=creator, poolclass=sa.NullPool, hide_parameters=True)
