"""Opening the register and bringing its schema up to date. What the rows mean belongs to the rooms that write them."""

import contextlib
import sqlite3
import threading
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from pipelines.messages import CitylakeError
from pipelines.register.tables import NUMBER, basis
from pipelines.waits import assumed, waits

_MIGRATIONS = Path(__file__).parent / "migrations"


class Register:
    """A connection pool to the register. Safe to share between threads; open one per process. Raises CitylakeError for
    what is no address of a database."""

    def __init__(self, url: str) -> None:
        try:
            self.engine = sa.create_engine(url)
        except sa.exc.ArgumentError:
            raise CitylakeError("register.no_address") from None  # it is not told: a password may stand in it
        self._turn: contextlib.AbstractContextManager[object] = contextlib.nullcontext()
        if self.engine.dialect.name == "sqlite":
            self._turn = threading.Lock()
            sa.event.listen(self.engine, "connect", _configure_sqlite)
            sa.event.listen(self.engine, "begin", _begin)
        self._alone = self.engine.execution_options(alone=True)
        self._write = self.engine.execution_options(write=True)
        self._looking = deque[Any]()
        self._number: int | None = None
        self.lines = deque[Any]()
        """Connections that are kept for appending to chains on PostgreSQL, those that nobody uses just now."""
        self._writer: sqlite3.Connection | None = None

    def upgrade(self) -> None:
        """Create or migrate the schema. Idempotent."""
        config = Config()
        config.set_main_option("script_location", str(_MIGRATIONS))
        with self.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    @contextlib.contextmanager
    def begin(self) -> Iterator[sa.Connection]:
        """One writing transaction; committed at the end, rolled back on an error. Not to be nested.

        SQLite has one writer, and whoever finds it busy sleeps and may miss every turn: threads queue here before.
        """
        waits()
        with self._turn, self._write.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def begin_plainly(self) -> Iterator[sqlite3.Connection]:
        """`begin` past SQLAlchemy, for SQLite alone, on a connection that is kept for it: for what every read writes.

        Errors are those of `begin`. The connection is dropped with them, so that nothing of one that broke is left.
        """
        waits()
        with self._turn, self.told_as_sqlalchemy_does():
            connection, self._writer = self._writer or self.apart(), None
            try:
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                connection.execute("COMMIT")
                self._writer = connection
            finally:
                if self._writer is None:
                    with contextlib.closing(connection):
                        connection.rollback()

    @contextlib.contextmanager
    def told_as_sqlalchemy_does(self) -> Iterator[None]:
        """Errors of the driver as SQLAlchemy raises them."""
        driver: Any = self.engine.dialect.loaded_dbapi
        try:
            yield
        except driver.Error as error:
            raise sa.exc.DBAPIError.instance(None, None, error, driver.Error) from error

    def rows(self, statement: sa.Select[Any], **values: Any) -> list[dict[str, Any]]:
        """All rows of a select, as dictionaries. `values`: those of its bound parameters.

        A select that many requests ask is put together once, at import: putting one together takes longer than asking.
        """
        waits()
        with self._alone.connect() as connection:
            return [dict(row) for row in connection.execute(statement, values).mappings()]

    def basis(self) -> int | None:
        """The number that moves with everything that decisions are made from: what was read after an equal one would be
        read again now. None if there is no such number: then nothing may be remembered.

        Every read asks, so it is asked past SQLAlchemy, on connections that are kept for it. Where nobody may wait it
        is the one that was read last: whoever makes something of it has to prove it (`pipelines.waits.assumed`).
        """
        if (taken := assumed(self._number)) is not None:
            return taken
        self._number = self._read_basis()
        return self._number

    def _read_basis(self) -> int | None:
        try:
            connection = self._looker()
            found = connection.execute(NUMBER).fetchall()
        except self.engine.dialect.loaded_dbapi.Error:  # it broke and is dropped; the pool knows how to get another
            rows = self.rows(sa.select(basis.c.number).where(basis.c.id == 1))
            return int(rows[0]["number"]) if rows else None
        self._looking.append(connection)
        return int(found[0][0]) if found else None

    def _looker(self) -> Any:
        """A connection where each statement is a transaction by itself."""
        with contextlib.suppress(IndexError):
            return self._looking.pop()
        connection = self.apart()
        if self.engine.dialect.name == "postgresql":
            connection.autocommit = True
        else:
            connection.execute("PRAGMA busy_timeout = 0")  # whoever would wait asks through the pool
        return connection

    def apart(self) -> Any:
        """A new connection of the driver, outside the pool; whoever asks for it closes it."""
        waits()
        pooled = self.engine.raw_connection()
        pooled.detach()
        return pooled.dbapi_connection

    def close(self) -> None:
        """Give up all connections."""
        with self._turn:
            if self._writer is not None:
                self._writer.close()
            self._writer = None
        for kept in (self._looking, self.lines):
            while kept:
                kept.pop().close()
        self.engine.dispose()


def now() -> datetime:
    """The present time in UTC."""
    return datetime.now(UTC)


def _configure_sqlite(connection: Any, _: object) -> None:
    connection.isolation_level = None  # transactions are begun below, not by the driver
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "busy_timeout = 30000", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: sa.Connection) -> None:
    """Writers queue at the start of a transaction instead of failing in its middle; readers never wait. One select
    alone is a transaction by itself."""
    options = connection.get_execution_options()
    if not options.get("alone", False):
        connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get("write", False) else "BEGIN")
