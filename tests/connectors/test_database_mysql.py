"""MariaDB's odd values in raw, the session that reads them, and what is left when the server dies."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pymysql
import pytest

from pipelines.admission.receive import receive
from pipelines.connectors.database import mysql
from pipelines.messages import CitylakeError
from pipelines.register.receipts import Stage
from tests.connectors.conftest import Puller
from tests.connectors.databases import MariaDB
from tests.connectors.raw_lake import REPOSITORY, RawLake

pytestmark = pytest.mark.server

ODD = [
    ("ub", "bigint unsigned", ["18446744073709551615", "0"], ["18446744073709551615", "0"]),
    ("d65", "decimal(65,30)", ["12345678901234567890123456789012345.123456789012345678901234567890", "0"],
     ["12345678901234567890123456789012345.123456789012345678901234567890", "0.000000000000000000000000000000"]),
    ("f", "float", ["16777216", "0.1"], ["16777216", "0.1"]),
    ("db", "double", ["0.1", "1e308"], ["0.1", "1e308"]),
    ("ti", "tinyint(1)", ["2", "-1"], ["2", "-1"]),
    ("bo", "boolean", ["true", "false"], ["1", "0"]),
    ("b1", "bit(1)", ["b'1'", "b'0'"], ["1", "0"]),
    ("b64", "bit(64)", ["b'1000000001'", "18446744073709551615"], ["513", "18446744073709551615"]),
    ("y", "year", ["2026", "0"], ["2026", "0000"]),
    ("tm", "time", ["'838:59:59'", "'-01:00:00'"], ["838:59:59", "-01:00:00"]),
    ("tm6", "time(6)", ["'-00:00:01.5'", "'10:00:00'"], ["-00:00:01.500000", "10:00:00.000000"]),
    ("dt", "datetime", ["'0000-00-00 00:00:00'", "'2026-02-31 00:00:00'"],
     ["0000-00-00 00:00:00", "2026-02-31 00:00:00"]),
    ("d", "date", ["'0000-00-00'", "'2026-02-00'"], ["0000-00-00", "2026-02-00"]),
    ("ts", "timestamp NULL", ["'2026-01-01 10:00:00'", "'0000-00-00 00:00:00'"],
     ["2026-01-01 02:00:00+00", "0000-00-00 00:00:00"]),
    ("ts6", "timestamp(6) NULL", ["'2026-01-01 00:00:00.5'", "NULL"], ["2025-12-31 16:00:00.500000+00", None]),
    ("js", "json", ["""'{"a": 1.10, "中": [1, 2]}'""", "'null'"], ['{"a": 1.10, "中": [1, 2]}', "null"]),
    ("en", "enum('男','女')", ["'女'", "''"], ["女", ""]),
    ("st", "set('a','b')", ["'b,a'", "''"], ["a,b", ""]),
    ("l1", "varchar(20) CHARACTER SET latin1", ["'café'", "''"], ["café", ""]),
    ("gb", "varchar(20) CHARACTER SET gbk", ["'六安市'", "'　'"], ["六安市", "　"]),
    ("u3", "varchar(20) CHARACTER SET utf8mb3", ["'六安'", "'0'"], ["六安", "0"]),
    ("u4", "varchar(20)", ["'𠮷野家😀'", "' x '"], ["𠮷野家😀", " x "]),
    ("nul", "longtext", [r"'x\0y'", r"'\\'"], ["x\0y", "\\"]),
    ("vb", "varbinary(20)", ["x'00ff10'", "''"], ["00ff10", ""]),
    ("bn", "binary(3)", ["x'00ff10'", "x'41'"], ["00ff10", "410000"]),
    ("bl", "longblob", ["x'fb'", "NULL"], ["fb", None]),
    ("zf", "int(8) zerofill", ["42", "0"], ["00000042", "00000000"]),
    ("pt", "point", ["ST_PointFromText('POINT(1 2)')", "NULL"],
     ["00000000" "0101000000" "000000000000f03f" "0000000000000040", None]),
    ("ch", "char(6)", ["'ab'", "''"], ["ab", ""]),
]  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDB]:
    server = MariaDB(tmp_path_factory.mktemp("mariadb"))
    yield server
    server.stop()


@pytest.fixture
def source(server: MariaDB, puller: Callable[..., Puller]) -> Puller:
    return puller("database", server.address(), ["id"])


def test_odd_values_come_as_the_server_writes_them(server: MariaDB, source: Puller) -> None:
    columns = ", ".join(f"{name} {type_}" for name, type_, _, _ in ODD)
    server.run("DROP TABLE IF EXISTS t", f"CREATE TABLE t (id int PRIMARY KEY, {columns})")
    for number in (0, 1):
        server.run(f"INSERT INTO t VALUES ({number}, {', '.join(values[number] for _, _, values, _ in ODD)})")
    rows = source.pull(table="t")
    assert rows == [{"id": str(number), **{name: shown[number] for name, _, _, shown in ODD}} for number in (0, 1)]


def test_a_cell_of_many_packets(server: MariaDB, source: Puller) -> None:
    server.run("DROP TABLE IF EXISTS t", "CREATE TABLE t (id int, a longtext, b longblob)")
    server.run("INSERT INTO t VALUES (1, repeat('六安', 6000000), repeat(x'ff00', 9000000)), (2, NULL, x'01')")
    rows = source.pull(table="t")
    assert rows == [{"id": "1", "a": "六安" * 6_000_000, "b": "ff00" * 9_000_000}, {"id": "2", "a": None, "b": "01"}]


def test_a_view_is_a_table(server: MariaDB, source: Puller) -> None:
    server.run("DROP TABLE IF EXISTS t", "CREATE TABLE t (id int)", "INSERT INTO t VALUES (7)")
    server.run("CREATE OR REPLACE VIEW v AS SELECT id FROM t")
    assert source.pull(table="city.v") == [{"id": "7"}]


def test_a_session_is_one_that_cannot_write(server: MariaDB, source: Puller) -> None:
    """Even with all rights."""
    server.run("DROP TABLE IF EXISTS t", "CREATE TABLE t (id int)")
    server.run("CREATE OR REPLACE USER almighty@'%' IDENTIFIED BY 'x'", "GRANT ALL ON *.* TO almighty@'%'")
    address = server.address().replace(source.secret.split("@")[0], "mysql://almighty:x")
    con = mysql.connect("source", address)
    for statement in mysql._SESSION:
        con.query(statement)
    with pytest.raises(pymysql.MySQLError, match="READ ONLY"):
        con.query("INSERT INTO city.t VALUES (1)")
    con.close()


def test_one_pull_is_one_connection_and_one_state(server: MariaDB, source: Puller) -> None:
    server.run("DROP TABLE IF EXISTS t", "CREATE TABLE t (id int PRIMARY KEY, at int, x text) ENGINE=InnoDB")
    server.run("INSERT INTO t SELECT seq, 0, repeat('x', 400) FROM seq_1_to_60000")
    end, most = threading.Event(), 0

    def change() -> None:
        nonlocal most
        with server.connect() as con, con.cursor() as cursor:
            while not end.is_set():
                cursor.execute("UPDATE t SET at = at + 1 WHERE id IN (1, 30000, 60000)")
                cursor.execute("SELECT count(*) FROM information_schema.processlist WHERE user = 'reader'")
                most = max(most, cursor.fetchone()[0])

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(3):
            rows = source.pull(table="t")
            assert rows is not None
            assert len({row["at"] for row in rows if row["id"] in ("1", "30000", "60000")}) == 1
            assert len(rows) == 60_000
    finally:
        end.set()
        thread.join()
    assert most == 1


@pytest.fixture
def doomed(tmp_path: Path) -> Iterator[MariaDB]:
    server = MariaDB(tmp_path)
    yield server
    server.stop()


@pytest.mark.long
def test_a_server_killed_in_mid_pull_leaves_nothing(doomed: MariaDB, tmp_path: Path) -> None:
    server = doomed
    raw = RawLake(tmp_path / "home", "dsrb/service_case")
    contract = raw.contract
    columns = ", ".join(f"`{column.physical_name}` varchar(200)" for column in contract.columns)
    server.run(f"CREATE TABLE t ({columns})")
    server.run(f"INSERT INTO t SELECT {', '.join(['repeat(seq, 20)'] * len(contract.columns))} FROM seq_1_to_200000")
    connector = replace(contract.connector, arguments={"connection": "psb", "table": "t"})
    contract = replace(contract, connector=connector)
    folder = raw.lake.raw(contract.org, contract.dataset)

    def kill() -> None:
        partial = folder / "partial" / "rows.parquet"
        while not partial.exists() or partial.stat().st_size < 1000:
            time.sleep(0.01)
        server.process.kill()
        server.process.wait()

    thread = threading.Thread(target=kill)
    thread.start()
    with pytest.raises(CitylakeError) as caught:
        receive(contract, raw.contracts, raw.lake, lambda _: server.address(), raw.receipts)
    thread.join()
    assert caught.value.code == "pull.unreachable"
    assert list(folder.iterdir()) == []
    assert raw.receipts.last(Stage.PULL, contract.id) is None
    server.stop()
    server.start()
    delivery = receive(contract, raw.contracts, raw.lake, lambda _: server.address(), raw.receipts)
    assert delivery is not None
    assert (delivery.batch, delivery.rows) == (1, 200_000)


MEASURED = """
import resource, sys
from pathlib import Path
from pipelines.connectors.base import Request, connectors
address, folder, tables = sys.argv[1], Path(sys.argv[2]), sys.argv[3:]
for table in tables:
    request = Request(folder / "rows.parquet", folder, lambda _: address, "", ("id",), (), folder / "scratch")
    rows = connectors["database"].function(request, connection="source", table=table).rows
    print(rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


@pytest.mark.long
@pytest.mark.parametrize("scheme", ["mysql", "mysql+pymysql"])
def test_memory_does_not_grow_with_the_table(server: MariaDB, tmp_path: Path, scheme: str) -> None:
    server.run("DROP TABLE IF EXISTS small", "DROP TABLE IF EXISTS large")
    made = "(id int, a varchar(300), b varchar(300)) AS SELECT seq AS id, repeat(seq, 40) AS a, repeat(seq, 40) AS b"
    server.run(f"CREATE TABLE small {made} FROM seq_1_to_50000", f"CREATE TABLE large {made} FROM seq_1_to_500000")
    command = [sys.executable, "-c", MEASURED, server.address(scheme), str(tmp_path), "small", "large"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True, cwd=REPOSITORY).stdout.splitlines()
    (_, before), (rows, after) = (map(int, line.split()) for line in lines)
    assert rows == 500_000  # 240 MB of text
    assert after - before < 120
