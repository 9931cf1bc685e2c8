"""Opening the register and bringing its schema up to date. What the rows mean belongs to the rooms that write them."""

import contextlib
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

_MIGRATIONS = Path(__file__).parent / "migrations"


class Register:
    """A connection pool to the register. Safe to share between threads; open one per process."""

    def __init__(self, url: str) -> None:
        self.engine = sa.create_engine(url)
        self._turn: contextlib.AbstractContextManager[object] = contextlib.nullcontext()
        if self.engine.dialect.name == "sqlite":
            self._turn = threading.Lock()
            sa.event.listen(self.engine, "connect", _configure_sqlite)
            sa.event.listen(self.engine, "begin", _begin)

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
        with self._turn, self.engine.execution_options(write=True).begin() as connection:
            yield connection

    def rows(self, statement: sa.Select[Any]) -> list[dict[str, Any]]:
        """All rows of a select, as dictionaries."""
        with self.engine.connect() as connection:
            return [dict(row) for row in connection.execute(statement).mappings()]

    def close(self) -> None:
        """Give up all connections."""
        self.engine.dispose()


def now() -> datetime:
    """The present time in UTC."""
    return datetime.now(UTC)


def _configure_sqlite(connection: Any, _: object) -> None:
    connection.isolation_level = None  # transactions are begun below, not by the driver
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "busy_timeout = 30000", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: sa.Connection) -> None:
    """Writers queue at the start of a transaction instead of failing in its middle; readers never wait."""
    writes = connection.get_execution_options().get("write", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
