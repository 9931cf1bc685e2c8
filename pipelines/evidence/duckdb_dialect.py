"""A SQLAlchemy dialect through which Great Expectations works on a DuckDB connection that is open already.

Only what reading needs: no transactions, no writing, no schema but that of one view.

duckdb-engine alone does not do: Great Expectations fetches rows after it gave its connection back, and knows the
names of regular expression operators only for the dialect called `postgresql`.
"""

import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import duckdb
import duckdb_engine
import sqlalchemy as sa
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql.base import PGCompiler

from pipelines.codecs.sql import identifier, literals

DRIVER = "citylake"

_shared: dict[str, duckdb.DuckDBPyConnection] = {}


@contextmanager
def shared(con: duckdb.DuckDBPyConnection) -> Iterator[str]:
    """The address of `con` for SQLAlchemy, valid inside the block. Closing what SQLAlchemy opened leaves `con` open."""
    token = secrets.token_hex(8)
    _shared[token] = con
    try:
        yield f"duckdb+{DRIVER}:///{token}"
    finally:
        del _shared[token]


class Cursor:
    """A DB-API cursor that holds its whole result, so that the next statement cannot take it away.

    Results are counts and schemas, hence small.
    """

    rowcount = -1

    def __init__(self, connection: "Connection") -> None:
        self.connection = connection
        self.description: Sequence[Any] | None = None
        self._rows: list[Any] = []

    def execute(self, statement: str, parameters: Any = None, context: Any = None) -> None:
        """Run one statement and take all its rows."""
        result = self.connection.duckdb.execute(statement, parameters or None)
        self.description = result.description
        self._rows = result.fetchall() if result.description else []

    def fetchone(self) -> Any:
        """The next row or None."""
        return self._rows.pop(0) if self._rows else None

    def fetchmany(self, size: int = 1) -> list[Any]:
        """The next `size` rows."""
        rows, self._rows = self._rows[:size], self._rows[size:]
        return rows

    def fetchall(self) -> list[Any]:
        """All rows that are left."""
        return self.fetchmany(len(self._rows))

    def close(self) -> None:
        """Forget the rows."""
        self._rows = []


class Connection:
    """A DB-API connection over one that somebody else opened and will close."""

    notices: tuple[str, ...] = ()

    def __init__(self, con: duckdb.DuckDBPyConnection) -> None:
        self.duckdb = con

    def cursor(self) -> Cursor:
        """A new cursor; all cursors share the one connection."""
        return Cursor(self)

    def commit(self) -> None:
        """Nothing: transactions are the owner's."""

    def rollback(self) -> None:
        """Nothing: transactions are the owner's."""

    def close(self) -> None:
        """Nothing: the owner closes."""


class Compiler(PGCompiler):
    """Writes membership of a list as a subquery.

    DuckDB compares with the values one by one when a list stands inside an aggregate, as Great Expectations puts it:
    200 times the cost for the 2,000 divisions of a city.
    """

    def visit_in_op_binary(self, binary: Any, operator: Any, **kwargs: Any) -> str:
        """`column IN values`."""
        return f"{self.process(binary.left, **kwargs)} IN {_members(binary.right)}"

    def visit_not_in_op_binary(self, binary: Any, operator: Any, **kwargs: Any) -> str:
        """`column NOT IN values`."""
        return f"{self.process(binary.left, **kwargs)} NOT IN {_members(binary.right)}"


def _members(values: Any) -> str:
    return f"(SELECT unnest([{literals(values.effective_value)}]))"


class Named(sa.types.UserDefinedType[Any]):
    """A type of which only DuckDB's name is known."""

    cache_ok = True

    def __init__(self, name: str) -> None:
        self.name = name

    def get_col_spec(self, **_: Any) -> str:
        """The name."""
        return self.name


class Dialect(duckdb_engine.Dialect):
    """`duckdb+citylake:///<token>`, see `shared`."""

    name = "postgresql"
    driver = DRIVER
    supports_statement_cache = False
    statement_compiler = Compiler

    def connect(self, *_: Any, database: str, **__: Any) -> Any:
        """The connection shared under a token. Raises KeyError for any other."""
        return Connection(_shared[database])

    def do_begin(self, connection: Any) -> None:
        """Nothing: transactions are the owner's."""

    def get_columns(self, connection: Any, table_name: str, schema: str | None = None, **_: Any) -> Any:
        """The columns of a view."""
        described = connection.exec_driver_sql(f"DESCRIBE {identifier(table_name)}")
        return [{"name": row[0], "type": Named(_plain(row[1])), "nullable": True, "default": None} for row in described]

    def get_pk_constraint(self, *_: Any, **__: Any) -> Any:
        """None: a view has no primary key."""
        return {"constrained_columns": [], "name": None}


def _plain(type_: str) -> str:
    """A type without its precision, as it is asked for."""
    return "DECIMAL" if re.fullmatch(r"DECIMAL\(\d+,\d+\)", type_) else type_


registry.register(f"duckdb.{DRIVER}", __name__, Dialect.__name__)
