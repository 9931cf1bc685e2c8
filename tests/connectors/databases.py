"""Real databases for tests: a MariaDB server of our own, and one way of speaking to all engines."""

import os
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pymysql
import pytest

from simulator.server import HOST as PG_HOST
from simulator.server import Server
from tests.connectors.brokers import HOST, free_port

USER, PASSWORD = "reader", "p@ss/w:r'd %"


class MariaDB:
    """A server process with an empty database `city` and one account that may only read it."""

    def __init__(self, folder: Path) -> None:
        path = "/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin"
        program, install = (shutil.which(name, path=path) for name in ("mariadbd", "mariadb-install-db"))
        if program is None or install is None:
            pytest.skip("MariaDB is not installed")
        self.port, self.socket = free_port(), f"/tmp/citylake-{os.getpid()}-{free_port()}.sock"
        # A server that starts sweeps all temporary tables out of its folder, those of its neighbours too.
        scratch = folder / "scratch"
        scratch.mkdir()
        own = ["--no-defaults", f"--datadir={folder / 'data'}", f"--tmpdir={scratch}"]
        own += ["--user=root"] if os.geteuid() == 0 else []
        own += ["--innodb-flush-method=nosync"]  # power does not fail in tests
        made = [install, *own, "--auth-root-authentication-method=normal", "--skip-test-db"]
        subprocess.run(made, check=True, capture_output=True)
        self._command = [
            *(program, *own, f"--port={self.port}", f"--bind-address={HOST}", f"--socket={self.socket}"),
            *(
                "--skip-log-bin",
                "--max-allowed-packet=64M",
                f"--log-error={folder / 'log'}",
                "--default-time-zone=+08:00",
            ),
            *("--innodb-buffer-pool-size=64M", "--innodb-flush-log-at-trx-commit=0"),
        ]
        self.start()
        self.run(
            "CREATE DATABASE city CHARACTER SET utf8mb4",
            f"CREATE USER {USER}@'%' IDENTIFIED BY '{pymysql.converters.escape_string(PASSWORD)}'",
            f"GRANT SELECT ON city.* TO {USER}@'%'",
            database=None,
        )

    def start(self) -> None:
        self.process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + 60
        while True:
            try:
                self.run("SELECT 1", database=None)
                return
            except pymysql.OperationalError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(60)
        Path(self.socket).unlink(missing_ok=True)

    def connect(self, database: str | None = "city") -> Any:
        """A connection with all rights."""
        return pymysql.connect(
            unix_socket=self.socket, user="root", database=database, charset="utf8mb4", autocommit=True
        )

    def run(self, *statements: str, database: str | None = "city") -> list[tuple[Any, ...]]:
        """The rows of the last statement."""
        with self.connect(database) as con, con.cursor() as cursor:
            cursor.execute("SET SESSION sql_mode = 'ALLOW_INVALID_DATES'")
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall())

    def address(self, scheme: str = "mysql", password: str = PASSWORD, database: str = "city") -> str:
        return f"{scheme}://{USER}:{quote(password, safe='')}@{HOST}:{self.port}/{database}"


@dataclass(frozen=True)
class Engine:
    """One way into a database. `types`: what its columns are called; `run`: any statement with all rights."""

    name: str
    address: str
    table: str
    run: Callable[[str], Any]
    types: dict[str, str]

    def fill(self, columns: dict[str, str], rows: Sequence[Sequence[str]]) -> None:
        """Make the table anew. `columns`: name -> a key of `types`; rows: SQL literals."""
        self.run(f"DROP TABLE IF EXISTS {self.table}")
        listed = ", ".join(f"{name} {self.types.get(type_, type_)}" for name, type_ in columns.items())
        self.run(f"CREATE TABLE {self.table} ({listed})")
        self.add(rows)

    def add(self, rows: Sequence[Sequence[str]]) -> None:
        if rows:
            values = ", ".join(f"({', '.join(row)})" for row in rows)
            self.run(f"INSERT INTO {self.table} VALUES {values}")

    def binary(self, content: bytes) -> str:
        return f"'\\x{content.hex()}'" if self.name.startswith("postgres") else f"x'{content.hex()}'"


POSTGRES = {"time": "timestamp", "decimal": "numeric(38,10)", "binary": "bytea", "double": "double precision"}
MYSQL = {"time": "datetime(6)", "decimal": "decimal(38,10)", "binary": "varbinary(20)", "text": "longtext"}
SQLITE = {"time": "DATETIME", "decimal": "TEXT", "binary": "BLOB", "date": "DATE"}


def postgres_engine(server: Server, scheme: str = "postgresql") -> Engine:
    with server.connect("postgres") as connection:
        owner = f"{connection.info.user}:{quote(connection.info.password, safe='')}"

    def run(statement: str) -> Any:
        with server.connect("postgres", autocommit=True) as connection:
            cursor = connection.execute(statement)  # type: ignore[call-overload]
            return cursor.fetchall() if cursor.description else []

    return Engine(scheme, f"{scheme}://{owner}@{PG_HOST}:{server.port}/postgres", "public.t", run, POSTGRES)


def wait_until_alone(connection: psycopg.Connection) -> None:
    """Return when nobody else is connected: what a session did is counted at the latest when it ends. Raises
    TimeoutError after a minute."""
    others = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
    end = time.monotonic() + 60
    while connection.execute(others).fetchone() != (0,):
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.02)


def mysql_engine(server: MariaDB, scheme: str = "mysql") -> Engine:
    return Engine(scheme, server.address(scheme), "t", server.run, MYSQL)


def sqlite_engine(folder: Path, scheme: str = "sqlite") -> Engine:
    path = folder / "库 名.db"

    def run(statement: str) -> Any:
        with sqlite3.connect(path) as con:
            return con.execute(statement).fetchall()

    return Engine(scheme, f"{scheme}:///{path}", "t", run, SQLITE)
