"""Reads from a position on, against a real PostgreSQL: nothing is missed, the source answers by its index, and wrong
values neither stop the source nor vanish."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from threading import Event, Thread
from urllib.parse import quote

import psycopg
import pytest

from pipelines.connectors.base import ColumnsMissing, Cursor
from pipelines.messages import CitylakeError
from simulator.server import HOST, Server
from tests.connectors.conftest import Puller
from tests.connectors.databases import wait_until_alone

pytestmark = pytest.mark.server

TABLE = "public.t"


class Source:
    """One table of a real server."""

    def __init__(self, server: Server, puller: Callable[..., Puller]) -> None:
        self.server, self.puller = server, puller

    def run(self, statement: str, database: str = "postgres") -> list[tuple[object, ...]]:
        with self.server.connect(database, autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def table(self, type_: str, *values: object) -> None:
        self.run(f"DROP TABLE IF EXISTS {TABLE}")
        self.run(f"CREATE TABLE {TABLE} (id int GENERATED ALWAYS AS IDENTITY, at {type_})")
        self.add(*values)

    def add(self, *values: object) -> None:
        with self.server.connect("postgres", autocommit=True) as connection, connection.cursor() as cursor:
            cursor.executemany(f"INSERT INTO {TABLE} (at) VALUES (%s)", [(value,) for value in values])

    def cursor(self, overlap: int, database: str = "postgres") -> Puller:
        with self.server.connect(database) as connection:
            owner = f"{connection.info.user}:{quote(connection.info.password)}"
        address = f"postgresql://{owner}@{HOST}:{self.server.port}/{database}"
        return self.puller("database", address, ["id", "at"], Cursor("at", overlap))


@pytest.fixture
def source(postgres: Server, puller: Callable[..., Puller]) -> Source:
    return Source(postgres, puller)


def ids(puller: Puller) -> list[int] | None:
    rows = puller.pull(table=TABLE, columns=["id"])  # Python has no times like infinity
    return None if rows is None else sorted(row["id"] for row in rows)


CASES = [
    ("timestamp", ["2026-01-01 10:00:00", "2026-01-01 11:00:00", "2026-01-01 12:00:00"], 3600),
    ("timestamp(3)", ["2026-01-01 10:00:00", "2026-01-01 11:00:00", "2026-01-01 12:00:00.123"], 3601),
    ("timestamptz", ["2026-01-01 10:00:00+08", "2026-01-01 11:00:00+08", "2026-01-01 12:00:00+08"], 3600),
    ("date", ["2026-01-01", "2026-01-02", "2026-01-03"], 1),
    ("integer", ["10", "20", "30"], 10),
    ("bigint", ["1767225600000", "1767225601000", "1767225602000"], 1000),
    ("numeric(18,0)", ["9", "10", "11"], 1),
    ("numeric", ["341502200501010012", "341502200501010013", "341502200501010014"], 1),
    ("varchar(19)", ["2026-01-01 10:00:00", "2026-01-01 11:00:00", "2026-01-01 12:00:00"], 3600),
    ("text", ["20260101100000", "20260101110000", "20260101120000"], 3600),
    ("char(20)", ["2026-01-01 10:00:00", "2026-01-01 11:00:00", "2026-01-01 12:00:00"], 3600),
]


@pytest.mark.long
@pytest.mark.parametrize(("type_", "values", "overlap"), CASES)
def test_from_the_position_on_with_an_overlap(source: Source, type_: str, values: list[str], overlap: int) -> None:
    source.table(type_, *values)
    found = source.cursor(overlap)
    assert ids(found) == [1, 2, 3]
    assert ids(found) == [2, 3]
    source.add(values[1], values[0])  # one came late but within the overlap, one did not
    assert ids(found) == [2, 3, 4]
    source.add(None)
    assert ids(found) == [2, 3, 4, 6]
    assert ids(found) == [2, 3, 4, 6]


@pytest.mark.parametrize(
    ("type_", "wrong"),
    [
        ("timestamp", ["9999-12-31 00:00:00", "infinity"]),
        ("timestamptz", ["9999-12-31 00:00:00", "infinity"]),
        ("date", ["9999-12-31", "infinity"]),
        ("text", ["9999-12-31 00:00:00", "9999-99-99 99:99:99", "今天"]),
        ("text", ["99991231000000", "99999999999999", "x"]),
    ],
)
def test_a_wrong_year_does_not_stop_a_source(source: Source, type_: str, wrong: list[str]) -> None:
    now = datetime.now(UTC).replace(microsecond=0, tzinfo=None)
    times = [now - timedelta(days=2), now - timedelta(days=1), now]
    shown: list[object] = [f"{time:%Y%m%d%H%M%S}" if wrong[-1] == "x" else str(time) for time in times]
    if type_ == "timestamptz":
        shown = [f"{time}+00" for time in times]
    if type_ == "date":
        shown = [time.date() for time in times]
    source.table(type_, *shown[:2], *wrong)
    found = source.cursor(0)
    ids(found)
    assert found.position["value"].startswith(str(shown[1]))
    source.add(shown[2])
    assert ids(found) == [2, *range(3, 3 + len(wrong)), 3 + len(wrong)]


@pytest.mark.parametrize(
    "dirt",
    ["2026/01/05 10:00:00", "20260105100000", "2026-1-5 10:00", "", " 2026-01-05", "2026- 1-05 10:00:00", "0", "-"],
)
def test_texts_that_are_no_time_come_each_time(source: Source, dirt: str) -> None:
    source.table("varchar(30)", "2026-06-01 00:00:00", "2026-06-02 00:00:00")
    found = source.cursor(60)
    assert ids(found) == [1, 2]
    source.add(dirt)
    assert ids(found) == [2, 3]
    assert ids(found) == [2, 3]
    assert found.position == {"value": "2026-06-02 00:00:00"}


def test_a_day_that_does_not_exist_is_no_position(source: Source) -> None:
    source.table("varchar(30)", "2026-02-01 00:00:00", "2026-02-30 10:00:00")
    found = source.cursor(60)
    assert ids(found) == [1, 2]
    assert ids(found) == [1, 2]
    assert found.position == {"value": "2026-02-01 00:00:00"}


@pytest.mark.parametrize(
    ("first", "then", "value"),
    [
        ("text", "timestamp", "2026-01-01 10:00:00"),
        ("text", "timestamp", "20260101100000"),
        ("timestamp", "text", "2026-01-01 10:00:00"),
        ("integer", "date", "20260101"),
        ("bigint", "text", "7"),
        ("date", "text", "2026-01-01"),
        ("date", "date", "0044-03-15 BC"),
        ("date", "date", "0001-01-01"),
        ("timestamp", "timestamp", "0001-01-01 00:00:00"),
    ],
)
def test_a_position_of_another_type_loses_nothing(source: Source, first: str, then: str, value: str) -> None:
    source.table(first, value)
    found = source.cursor(86400)
    assert ids(found) == [1]
    source.run(f"ALTER TABLE {TABLE} ALTER at TYPE text")
    if then != "text":
        text = "to_timestamp(at, 'YYYYMMDDHH24MISS')" if value == "20260101100000" else f"at::{then}"
        source.run(f"ALTER TABLE {TABLE} ALTER at TYPE {then} USING {text}")
    assert ids(found) == [1]


def test_a_type_without_order_is_said(source: Source) -> None:
    source.table("boolean", True)
    with pytest.raises(CitylakeError) as caught:
        ids(source.cursor(1))
    assert (caught.value.code, caught.value.arguments["type"]) == ("pull.cursor_type", "boolean")


def test_an_empty_table_has_nothing_new(source: Source) -> None:
    source.table("timestamp")
    assert ids(source.cursor(1)) is None


@pytest.mark.long
@pytest.mark.parametrize(
    ("type_", "made"),
    [
        ("timestamp", "timestamp '2020-01-01' + i * interval '1 minute'"),
        ("timestamptz", "timestamptz '2020-01-01' + i * interval '1 minute'"),
        ("date", "date '1900-01-01' + i / 10"),
        ("integer", "i"),
        ("numeric", "i"),
    ],
)
def test_the_source_answers_by_its_index(source: Source, type_: str, made: str) -> None:
    source.run(f"DROP TABLE IF EXISTS {TABLE}")
    source.run(f"CREATE TABLE {TABLE} AS SELECT i AS id, ({made})::{type_} AS at FROM generate_series(1, 100000) i")
    source.run(f"CREATE INDEX ON {TABLE} (at)")
    source.run(f"ANALYZE {TABLE}")
    found = source.cursor(10)
    assert len(ids(found) or []) == 100_000
    read_before, by_index_before = scans(source)
    assert len(ids(found) or []) < 200
    read, by_index = scans(source)
    assert (read, by_index > by_index_before) == (read_before, True)


def scans(source: Source) -> tuple[int, int]:
    """Rows of the table that were read without its index, and how often the index was asked."""
    with source.server.connect("postgres", autocommit=True) as connection:
        wait_until_alone(connection)
        row = connection.execute(
            "SELECT seq_tup_read, idx_scan FROM pg_stat_user_tables WHERE relname = 't'"
        ).fetchone()
        assert row is not None
        return row[0], row[1]


def test_numerics_come_with_all_their_digits(source: Source) -> None:
    source.run(f"DROP TABLE IF EXISTS {TABLE}; CREATE TABLE {TABLE} (id int, at date, n numeric, m numeric(10,2))")
    source.run(f"INSERT INTO {TABLE} VALUES (1, '2026-01-01', 341502200501010013, 1.10), (2, NULL, 'NaN', 'NaN')")
    rows = source.cursor(1).pull(table=TABLE)
    assert rows is not None
    assert [(row["n"], row["m"]) for row in rows] == [("341502200501010013", "1.10"), ("NaN", "NaN")]


def test_a_server_of_a_chinese_encoding_translates(source: Source) -> None:
    source.run("CREATE DATABASE gb ENCODING 'EUC_CN' LOCALE 'C' TEMPLATE template0")
    with source.server.connect("gb", autocommit=True, client_encoding="utf8") as connection:
        connection.execute(f"CREATE TABLE {TABLE} (id int, at date, name text)")
        connection.execute(f"INSERT INTO {TABLE} VALUES (1, '2026-01-01', '六安')")
    rows = source.cursor(1, "gb").pull(table=TABLE)
    assert rows == [{"id": 1, "at": date(2026, 1, 1), "name": "六安"}]


def test_one_pull_is_one_state_of_the_table(source: Source) -> None:
    """A transaction that commits while the table is read is in the pull whole or not at all."""
    source.run(f"DROP TABLE IF EXISTS {TABLE}")
    source.run(
        f"CREATE TABLE {TABLE} AS SELECT i AS id, 0 AS at, repeat('x', 500) AS x FROM generate_series(1, 60000) i"
    )
    found = source.cursor(0)
    end = Event()

    def change() -> None:
        with source.server.connect("postgres", autocommit=True) as connection:
            while not end.is_set():
                connection.execute(f"UPDATE {TABLE} SET at = at + 1 WHERE id IN (1, 30000, 60000)")

    thread = Thread(target=change)
    thread.start()
    try:
        for _ in range(3):
            pulled = found.pull(table=TABLE, keep=False)
            assert pulled is not None
            assert len({row["at"] for row in pulled if row["id"] in (1, 30000, 60000)}) == 1
            assert len(pulled) == 60_000
    finally:
        end.set()
        thread.join()


@pytest.mark.parametrize("table", ["public.nowhere", "nowhere.t", "t", "public.t; DROP TABLE t", 'public.t" x'])
def test_a_table_that_is_none_is_said(source: Source, table: str) -> None:
    source.table("date", "2026-01-01")
    with pytest.raises(CitylakeError) as caught:
        source.cursor(1).pull(table=table)
    assert caught.value.code == "pull.no_table"


def test_a_reader_without_rights_is_told_so_without_secrets(source: Source) -> None:
    source.table("date", "2026-01-01")
    source.run("DROP ROLE IF EXISTS nosy")
    source.run("CREATE ROLE nosy LOGIN PASSWORD 'it''s p@ss\\w'")
    found = source.cursor(1)
    with psycopg.connect(found.secret) as connection:
        assert connection.info.port
    hba = source.server.data / "pg_hba.conf"
    hba.write_text(hba.read_text() + f"host all nosy {HOST}/32 scram-sha-256\n")
    source.run("SELECT pg_reload_conf()")
    for password in ("it's p@ss\\w", "it's wr@ng"):
        found.secret = f"postgresql://nosy:{quote(password)}@{HOST}:{source.server.port}/postgres"
        with pytest.raises(CitylakeError) as caught:
            found.pull(table=TABLE)
        text = str(caught.value)
        assert caught.value.code == "pull.unreachable"
        for part in (password, quote(password), password.replace("'", "\\'").replace("\\w", "\\\\w")):
            assert part not in text


def test_values_of_a_new_column_are_at_hand_when_one_is_missing(source: Source) -> None:
    source.table("varchar(30)", "甲", "乙", None)
    found = source.cursor(0)
    found.cursor, found.expected = None, ("id", "moment")
    with pytest.raises(ColumnsMissing) as caught:
        ids(found)
    assert (caught.value.missing, caught.value.sample) == (("moment",), {"at": ["甲", "乙", None]})
    assert "甲" not in str(caught.value)
