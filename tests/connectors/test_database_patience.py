"""Servers that keep a pull waiting: it ends with an error that names the connection, in the time that was set."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from pipelines.connectors.database import patience
from pipelines.messages import CitylakeError
from simulator.server import Server
from tests.connectors.conftest import Puller
from tests.connectors.databases import MariaDB, mysql_engine, postgres_engine

pytestmark = pytest.mark.server
Make = Callable[..., Puller]


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a server that takes connections and never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken: list[socket.socket] = []

        def take() -> None:
            while True:
                try:
                    taken.append(listener.accept()[0])
                except OSError:
                    return

        thread = threading.Thread(target=take, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        for one in taken:
            one.close()
    thread.join(5)


def refused(found: Puller, table: str) -> tuple[CitylakeError, float]:
    started = time.monotonic()
    with pytest.raises(CitylakeError) as caught:
        found.pull(table=table)
    return caught.value, time.monotonic() - started


@pytest.mark.parametrize("scheme", ["postgresql", "mysql", "postgresql+psycopg", "mysql+pymysql"])
def test_a_server_that_says_nothing(silent: int, puller: Make, monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    monkeypatch.setattr(patience, "CONNECT", 2)
    monkeypatch.setattr(patience, "SILENCE", 2)
    error, seconds = refused(puller("database", f"{scheme}://reader:word@127.0.0.1:{silent}/city", ["id"]), "t")
    assert error.code == "pull.unreachable"
    assert seconds < 30
    assert "word" not in str(error)


def test_a_table_that_somebody_holds_in_postgresql(
    tmp_path: Path, puller: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "LOCK", 1)
    server = Server(tmp_path)
    server.start()
    try:
        engine = postgres_engine(server, "postgresql")
        engine.fill({"id": "integer"}, [["1"]])
        with psycopg.connect(engine.address) as holder:
            holder.execute(f"LOCK TABLE {engine.table} IN ACCESS EXCLUSIVE MODE")
            found = puller("database", engine.address, ["id"])
            error, seconds = refused(found, engine.table)
        assert (error.code, "lock timeout" in str(error)) == ("pull.unreachable", True)
        assert seconds < 30
        assert [str(row["id"]) for row in found.pull(table=engine.table) or []] == ["1"]
    finally:
        server.stop()


def test_a_table_that_somebody_holds_in_mariadb(tmp_path: Path, puller: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "LOCK", 1)
    server = MariaDB(tmp_path)
    try:
        engine = mysql_engine(server, "mysql")
        engine.fill({"id": "integer"}, [["1"]])
        with server.connect() as holder, holder.cursor() as cursor:
            cursor.execute(f"LOCK TABLES {engine.table} WRITE")
            found = puller("database", engine.address, ["id"])
            error, seconds = refused(found, engine.table)
        assert error.code == "pull.unreachable"
        assert seconds < 30
        assert [str(row["id"]) for row in found.pull(table=engine.table) or []] == ["1"]
    finally:
        server.stop()
