"""How many sessions are open at a department's server: one for a pull, however much there is to read, and no more
pulls at a time than the contract says."""

import tempfile
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.connectors.database import patience
from pipelines.connectors.database.turns import turn
from pipelines.messages import CitylakeError
from simulator.server import Server
from tests.connectors.conftest import Puller
from tests.connectors.databases import MariaDB, mysql_engine, postgres_engine, wait_until_alone

pytestmark = pytest.mark.server
Make = Callable[..., Puller]

ROWS = 200_000
"""More than DuckDB would give to one of several threads."""


def waits_for_its_turn(found: Puller, table: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two sessions one is free: a pull has it. Of none it says so; and it goes on when one becomes free."""
    plain = found.request
    monkeypatch.setattr(tempfile, "tempdir", str(found.folder))
    monkeypatch.setattr(found, "request", lambda: replace(plain(), sessions=lambda _: 2))
    monkeypatch.setattr(patience, "LOCK", 1)
    first, second = (turn("source", 2, "市公安局") for _ in range(2))
    with first:
        assert len(found.pull(table=table) or []) == ROWS
        with second:
            with pytest.raises(CitylakeError) as caught:
                found.pull(table=table)
            assert caught.value.code == "pull.busy"
        monkeypatch.setattr(patience, "LOCK", 60)
    third, fourth = (turn("source", 2, "市公安局") for _ in range(2))
    with third:
        fourth.__enter__()
        done = threading.Timer(1, fourth.__exit__, (None, None, None))
        done.start()
        assert len(found.pull(table=table) or []) == ROWS
        done.join()


@pytest.mark.parametrize("scheme", ["postgresql", "postgresql+psycopg"])
def test_a_pull_opens_one_session_in_postgresql(
    tmp_path: Path, puller: Make, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    server = Server(tmp_path)
    server.start()
    try:
        engine = postgres_engine(server, scheme)
        engine.fill({"id": "integer"}, [])
        engine.run(f"INSERT INTO {engine.table} SELECT * FROM generate_series(1, {ROWS})")
        found = puller("database", engine.address, ["id"])
        with server.connect("postgres", autocommit=True) as watcher:
            wait_until_alone(watcher)
            counted = "SELECT sessions FROM pg_stat_database WHERE datname = 'postgres'"
            before = watcher.execute(counted).fetchone()
            assert len(found.pull(table=engine.table) or []) == ROWS
            wait_until_alone(watcher)
            after = watcher.execute(counted).fetchone()
            assert after is not None and before is not None
            assert after[0] - before[0] == 1
            waits_for_its_turn(found, engine.table, monkeypatch)
    finally:
        server.stop()


@pytest.mark.long
@pytest.mark.parametrize("scheme", ["mysql", "mysql+pymysql"])
def test_a_pull_opens_one_session_in_mariadb(
    tmp_path: Path, puller: Make, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    server = MariaDB(tmp_path)
    try:
        engine = mysql_engine(server, scheme)
        engine.fill({"id": "integer"}, [])
        engine.run(f"INSERT INTO {engine.table} SELECT seq FROM seq_1_to_{ROWS}")
        found = puller("database", engine.address, ["id"])
        with server.connect() as watcher, watcher.cursor() as cursor:
            cursor.execute("SHOW GLOBAL STATUS LIKE 'Connections'")
            ((_, before),) = cursor.fetchall()
            assert len(found.pull(table=engine.table) or []) == ROWS
            cursor.execute("SHOW GLOBAL STATUS LIKE 'Connections'")
            ((_, after),) = cursor.fetchall()
        assert int(after) - int(before) == 1
        waits_for_its_turn(found, engine.table, monkeypatch)
    finally:
        server.stop()
