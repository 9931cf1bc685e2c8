"""From MariaDB to a Parquet file of text: four ways to read the same table, and what each makes of odd values.

`python -m benchmarks.mysql [ROWS]`, with MariaDB from the system's packages. Every contender runs in a process of its
own; CPU seconds count that process and the database server, peak memory that process. Which cells a way gets wrong is
found by comparing with what the server itself writes. The machine is shared: compare within one run only.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import duckdb
import psutil
import pymysql
from pymysql.cursors import SSCursor

from pipelines.codecs.sql import literal
from pipelines.connectors.base import Request, connectors
from pipelines.connectors.database.texts import TextFile, columns_of
from pipelines.engine import connect, load_extension
from tests.connectors.databases import MariaDB

REPOSITORY = Path(__file__).resolve().parent.parent
PIECE = 20_000

BIG = """
id bigint PRIMARY KEY, name varchar(40), idno char(18), sex tinyint, birth date, address varchar(200),
division char(12), phone varchar(20), amount decimal(18,2), rate decimal(10,6), n1 int, n2 int unsigned, b1 bigint,
created datetime, updated datetime(3), status varchar(4), note text, flag tinyint(1), kind enum('甲','乙','丙'),
d1 double
"""
FILLED = """
INSERT INTO big SELECT seq, concat('张三', seq % 1000), concat('3415021990', lpad(seq % 10000000, 8, '0')), seq % 2,
date_add('1950-01-01', interval seq % 25000 day), concat('安徽省六安市金安区解放路', seq % 500, '号', seq % 40, '栋'),
'341502001001', concat('138', lpad(seq % 100000000, 8, '0')), seq / 7, (seq % 1000) / 999, seq % 77, seq % 99,
seq * 1234567, date_add('2020-01-01', interval seq minute), date_add('2020-01-01', interval seq second),
lpad(seq % 20, 2, '0'), if(seq % 5 = 0, concat('备注 ', seq), NULL), seq % 2, 1 + seq % 3, seq / 3 FROM seq_1_to_{rows}
"""
ODD = {
    "bigint unsigned": ("18446744073709551615", "18446744073709551615"),
    "decimal(65,30)": ("12345678901234567890.123456789012345678901234567890",) * 2,
    "float": ("16777217", "16777216"),
    "tinyint(1)": ("2", "2"),
    "bit(10)": ("b'1000000001'", "513"),
    "year": ("2026", "2026"),
    "time": ("'-838:59:59'", "-838:59:59"),
    "datetime": ("'0000-00-00 00:00:00'", "0000-00-00 00:00:00"),
    "datetime(6)": ("'2026-02-31 10:00:00'", "2026-02-31 10:00:00.000000"),
    "date": ("'2026-02-00'", "2026-02-00"),
    "timestamp": ("'0000-00-00 00:00:00'", "0000-00-00 00:00:00"),
    "json": ("""'{"a": 1.10}'""", '{"a": 1.10}'),
    "set('a','b')": ("'b,a'", "a,b"),
    "varchar(20) CHARACTER SET gbk": ("'六安'", "六安"),
    "varchar(20)": ("'𠮷😀'", "𠮷😀"),
    "longtext": (r"'x\0y'", "x\0y"),
    "varbinary(9)": ("x'00ff5c'", "00ff5c"),
    "int zerofill": ("42", "0000000042"),
}
"""Type -> a literal, and the text that has every digit of it."""


def scanner(address: str, folder: Path, table: str) -> int:
    """DuckDB's mysql_scanner with the types it chooses."""
    return _by_duckdb(address, folder, f"SELECT COLUMNS(*)::VARCHAR FROM s.{table}")


def scanner_texts(address: str, folder: Path, table: str) -> int:
    """DuckDB's mysql_scanner, the server asked to write every value as text."""
    listed = ", ".join(f"cast(`{name}` AS CHAR) AS `{name}`" for name in _names(address, table))
    return _by_duckdb(address, folder, f"FROM mysql_query('s', {literal(f'SELECT {listed} FROM city.{table}')})")


def driver(address: str, folder: Path, table: str) -> int:
    """PyMySQL's streaming cursor, its values as text."""
    with _connected(address) as con, con.cursor(SSCursor) as cursor:
        cursor.execute(f"SELECT * FROM {table}")
        names = [column[0] for column in cursor.description]
        with TextFile(folder / "rows.parquet", names) as file:
            while rows := cursor.fetchmany(PIECE):
                file.add(columns_of(rows, len(names)))
    return file.rows


def sqlalchemy(address: str, folder: Path, table: str) -> int:
    """The connector by SQLAlchemy, as for databases without a way of their own."""
    return _by_citylake(address.replace("mysql:", "mysql+pymysql:"), folder, table)


def citylake(address: str, folder: Path, table: str) -> int:
    """The connector: PyMySQL asks, rows are decoded many at a time."""
    return _by_citylake(address, folder, table)


CONTENDERS: dict[str, Callable[[str, Path, str], int]] = {
    "mysql_scanner": scanner,
    "mysql_scanner, all as CHAR": scanner_texts,
    "PyMySQL SSCursor": driver,
    "SQLAlchemy stream": sqlalchemy,
    "citylake": citylake,
}


def _by_duckdb(address: str, folder: Path, query: str) -> int:
    with connect(folder / "scratch") as con:
        load_extension(con, "mysql_scanner")
        con.execute(f"ATTACH {literal(address)} AS s (TYPE mysql, READ_ONLY)")
        target = literal(str(folder / "rows.parquet"))
        row = con.execute(
            f"COPY ({query}) TO {target} (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1)"
        ).fetchone()
        return int(row[0]) if row else 0


def _by_citylake(address: str, folder: Path, table: str) -> int:
    request = Request(folder / "rows.parquet", folder, lambda _: address, "", (), (), folder / "scratch")
    pulled = connectors["database"].function(request, connection="source", table=table)
    return pulled.rows if pulled else 0


def _connected(address: str) -> pymysql.Connection:
    parts = urlsplit(address)
    return pymysql.connect(
        host=parts.hostname, port=parts.port, user=parts.username, password="", database="city", charset="utf8mb4"
    )


def _names(address: str, table: str) -> list[str]:
    with _connected(address) as con, con.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {table} LIMIT 0")
        return [column[0] for column in cursor.description]


def one(name: str, address: str, table: str) -> None:
    """Run one contender here and print what it took, or the cells it got wrong."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.monotonic()
        result = CONTENDERS[name](address, Path(folder), table)
        seconds = time.monotonic() - started
        found = duckdb.sql(f"FROM '{folder}/rows.parquet'").fetchone() if table == "odd" else None
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu, peak = used.ru_utime + used.ru_stime, used.ru_maxrss / 1024
    print(json.dumps({"result": result, "wall": seconds, "cpu": cpu, "peak_mb": peak, "odd": found}, default=str))


def measured(name: str, address: str, table: str, server: psutil.Process) -> dict[str, float]:
    """One run of a contender in a process of its own. Raises CalledProcessError if it stops."""
    before = sum(server.cpu_times()[:2])
    command = [sys.executable, "-m", "benchmarks.mysql", "--one", name, table]
    output = subprocess.run(command, input=address, text=True, capture_output=True, check=True, cwd=REPOSITORY).stdout
    return {**json.loads(output), "server": sum(server.cpu_times()[:2]) - before}


def wrong(name: str, address: str, server: MariaDB, process: psutil.Process) -> list[str]:
    """The types of which a contender got the value wrong, each asked for alone."""
    found = []
    for type_, (written, shown) in ODD.items():
        server.run(
            "DROP TABLE IF EXISTS odd", f"CREATE TABLE odd (v {type_} NULL)", f"INSERT INTO odd VALUES ({written})"
        )
        try:
            (cell,) = measured(name, address, "odd", process)["odd"]  # type: ignore[misc]
        except subprocess.CalledProcessError:
            cell = "stops"
        if cell != shown:
            found.append(f"{type_} {shown!r}: {cell!r}")
    return found


def main(rows: int) -> None:
    """Fill a server, run every contender twice, print the better run and the wrong cells."""
    with tempfile.TemporaryDirectory() as home:
        server = MariaDB(Path(home))
        try:
            server.run("CREATE USER bench@'%'", "GRANT SELECT ON city.* TO bench@'%'", f"CREATE TABLE big ({BIG})")
            server.run(FILLED.format(rows=rows))
            address, process = f"mysql://bench@127.0.0.1:{server.port}/city", psutil.Process(server.process.pid)
            print(f"{rows} rows x 20 columns, {os.cpu_count()} cores")
            print("| contender | rows | CPU s client | CPU s server | wall s | peak MB |\n|---|---|---|---|---|---|")
            for name in CONTENDERS:
                runs = [measured(name, address, "big", process) for _ in range(2)]
                best = min(runs, key=lambda run: run["cpu"] + run["server"])
                row = (f"{best[key]:.1f}" for key in ("cpu", "server", "wall", "peak_mb"))
                print(f"| {name} | {best['result']:.0f} | {' | '.join(row)} |", flush=True)
            for name in CONTENDERS:
                print(f"{name}: {'; '.join(wrong(name, address, server, process)) or 'no wrong cell'}", flush=True)
        finally:
            server.stop()


if __name__ == "__main__":
    if "--one" in sys.argv:
        one(sys.argv[-2], sys.stdin.read(), sys.argv[-1])
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 700_000)
