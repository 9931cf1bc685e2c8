"""Values that engines hold and others do not: PostgreSQL's own types, and what SQLite keeps whatever a column says."""

import re
import sqlite3
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import psycopg
import pytest

from pipelines.connectors.base import connectors
from pipelines.connectors.database import sqlite
from pipelines.connectors.database.texts import text
from pipelines.messages import CitylakeError
from simulator.server import Server
from tests.connectors.conftest import Puller
from tests.connectors.databases import Engine, postgres_engine, sqlite_engine, wait_until_alone

pytestmark = pytest.mark.server

POSTGRES = [
    ("numeric", "'12345678901234567890123456789012345678901234567890.5'"),
    ("numeric(5,2)", "'NaN'"),
    ("money", "'12.34'"),
    ("boolean", "true"),
    ("smallint", "-32768"),
    ("real", "0.1"),
    ("double precision", "0.1"),
    ("date", "'infinity'"),
    ("timestamp", "'2026-01-01 10:00:00.123456'"),
    ("timestamptz", "'2026-01-01 10:00:00+08'"),
    ("time without time zone", "'24:00:00'"),
    ("timetz", "'10:00:00+08'"),
    ("interval", "'1 mon -3 days 04:05:06.7'"),
    ("json", """'{"a": 1.10,  "中": [1]}'"""),
    ("jsonb", """'{"a": 1.10}'"""),
    ("uuid", "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'"),
    ("integer[]", "'{1,NULL,3}'"),
    ("text[]", """'{"a,b",NULL}'"""),
    ("inet", "'10.0.0.1/8'"),
    ("bit(3)", "B'101'"),
    ("int4range", "'[1,5)'"),
    ("point", "'(1,2)'"),
]


def test_postgresqls_types_come_as_it_writes_them(postgres: Server, puller: Callable[..., Puller]) -> None:
    engine = postgres_engine(postgres)
    names = [f"c{number}" for number in range(len(POSTGRES))]
    columns = {name: type_ for name, (type_, _) in zip(names, POSTGRES, strict=True)}
    engine.fill(columns, [[value for _, value in POSTGRES], ["NULL"] * len(POSTGRES)])
    with postgres.connect("postgres", options="-c timezone=UTC") as connection:
        shown = ", ".join(f"c{number}::text" for number in range(len(POSTGRES)))
        expected = connection.execute(f"SELECT {shown} FROM {engine.table}").fetchall()  # type: ignore[call-overload]
    request = puller("database", engine.address, names).request()
    connectors["database"].function(request, connection="source", table=engine.table)
    found = duckdb.sql(f"SELECT {', '.join(f'{name}::VARCHAR' for name in names)} FROM '{request.target}'")
    assert [tuple(map(_plain, row)) for row in found.fetchall()] == [tuple(map(_plain, row)) for row in expected]


def _plain(cell: str | None) -> str | None:
    """A cell without the zero that only one of DuckDB and PostgreSQL writes behind a whole float."""
    return re.sub(r"^(\d+)\.0$", r"\1", cell) if cell else cell


def test_one_pull_is_one_connection(postgres: Server, puller: Callable[..., Puller]) -> None:
    engine = postgres_engine(postgres)
    engine.run(f"DROP TABLE IF EXISTS {engine.table}")
    engine.run(
        f"CREATE TABLE {engine.table} AS SELECT i AS id, repeat('x', 100) AS x FROM generate_series(1, 300000) i"
    )
    engine.run(f"ANALYZE {engine.table}")
    with postgres.connect("postgres", autocommit=True) as connection:
        connection.execute("SELECT pg_stat_force_next_flush()")  # this one is counted before the pull
        before = _sessions(connection)
        rows = puller("database", engine.address, ["id"]).pull(table=engine.table, columns=["id"])
        assert rows is not None
        assert len(rows) == 300_000
        assert _sessions(connection) - before == 1


def _sessions(connection: psycopg.Connection) -> int:
    """How many sessions there have been."""
    wait_until_alone(connection)
    row = connection.execute("SELECT sessions FROM pg_stat_database WHERE datname = 'postgres'").fetchone()
    assert row is not None
    return int(row[0])


@pytest.fixture
def file(tmp_path: Path) -> Engine:
    return sqlite_engine(tmp_path)


def test_sqlite_values_are_what_they_are(file: Engine, puller: Callable[..., Puller]) -> None:
    values = ["7", "'x'", "'007'", "1.5", "x'00ff'", "9223372036854775807", "1e300", "NULL", "''", "char(65, 0, 66)"]
    file.fill({"id": "integer", "n": "integer"}, [[str(i), value] for i, value in enumerate(values)])
    rows = puller("database", file.address, ["n"]).pull(table="t")
    assert rows is not None
    assert [row["n"] for row in rows] == [
        *("7", "x", "7", "1.5", "00ff", "9223372036854775807", "1e+300", None, "", "A\0B")
    ]  # '007' became 7 when it was written: the column's affinity did that


def test_a_text_that_is_none_is_told_without_its_value(file: Engine, puller: Callable[..., Puller]) -> None:
    file.fill({"id": "integer", "n": "text"}, [["1", "CAST(x'c1f9b0b2' AS TEXT)"]])
    with pytest.raises(CitylakeError) as caught:
        puller("database", file.address, ["n"]).pull(table="t")
    assert (caught.value.code, caught.value.arguments["column"]) == ("pull.not_text", "n")


def test_a_sqlite_file_is_only_read(file: Engine, tmp_path: Path, puller: Callable[..., Puller]) -> None:
    file.fill({"id": "integer"}, [["1"]])
    path = file.address.removeprefix("sqlite:///")
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        sqlite.opened(path).execute("DELETE FROM t")
    (tmp_path / "text.db").write_text("no database, but as long as the header of one would have to be " * 50)
    with pytest.raises(CitylakeError) as caught:
        puller("database", f"sqlite:///{tmp_path / 'text.db'}", ["id"]).pull(table="t")
    assert caught.value.code == "pull.unreachable"


def test_sqlite_is_read_in_one_state(file: Engine, puller: Callable[..., Puller]) -> None:
    """A writer that commits while the table is read is in the pull whole or not at all."""
    file.run("PRAGMA journal_mode = WAL")
    file.fill({"id": "integer", "n": "integer"}, [[str(i), "0"] for i in range(25_000)])
    found = puller("database", file.address, ["id"])
    request, fetched = found.request(), 0
    real = sqlite.columns_of

    def between(rows: list[tuple[object, ...]], width: int) -> object:
        nonlocal fetched
        fetched += 1
        file.run("UPDATE t SET n = n + 1")
        return real(rows, width)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite, "columns_of", between)
        connectors["database"].function(request, connection="source", table="t")
    assert fetched == 3
    assert duckdb.sql(f"SELECT DISTINCT n FROM '{request.target}'").fetchall() == [("0",)]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (Decimal("1E+3"), "1000"),
        (Decimal("0.10"), "0.10"),
        (Decimal("NaN"), "NaN"),
        (True, "true"),
        (0.1, "0.1"),
        (memoryview(b"\x00a"), "0061"),
        (timedelta(hours=-838, minutes=-59, seconds=-59), "-838:59:59"),
        (timedelta(seconds=-1, microseconds=-500000), "-00:00:01.500000"),
    ],
)
def test_values_of_drivers_as_text(value: object, shown: str) -> None:
    assert text(value) == shown


def test_a_value_without_an_exact_text_is_refused(postgres: Server, puller: Callable[..., Puller]) -> None:
    engine = postgres_engine(postgres, "postgresql+psycopg")
    engine.fill({"id": "integer", "j": "jsonb"}, [["1", """'{"secret": 1.10}'"""]])
    with pytest.raises(CitylakeError) as caught:
        puller("database", engine.address, ["id"]).pull(table=engine.table)
    arguments = caught.value.arguments
    assert (caught.value.code, arguments["column"], arguments["type"]) == ("pull.cell_type", "j", "dict")
    assert "secret" not in str(caught.value)
