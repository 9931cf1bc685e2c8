"""From MariaDB to a Parquet file of text: four ways to read the same table, and what each makes of odd values.

`python -m benchmarks.mysql [ROWS]`, with MariaDB from the system's packages. CPU seconds count a contender's process
and the database server. Which cells a way gets wrong is found by comparing with what the server itself writes, again
in a process for each: a way may stop.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

import duckdb
import psutil
import pymysql
from pymysql.cursors import SSCursor

from benchmarks.contender import Contender, one
from benchmarks.measure import REPOSITORY, table
from pipelines.codecs.sql import literal
from pipelines.connectors.base import Request, connectors
from pipelines.connectors.database.texts import TextFile, columns_of
from pipelines.engine import connect, load_extension
from tests.connectors.databases import MariaDB

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


def scanner(where: str, folder: Path) -> int:
    """DuckDB's mysql_scanner with the types it chooses."""
    address, name = where.split()
    return _by_duckdb(address, folder, f"SELECT COLUMNS(*)::VARCHAR FROM s.{name}")


def scanner_texts(where: str, folder: Path) -> int:
    """DuckDB's mysql_scanner, the server asked to write every value as text."""
    address, name = where.split()
    listed = ", ".join(f"cast(`{column}` AS CHAR) AS `{column}`" for column in _names(address, name))
    return _by_duckdb(address, folder, f"FROM mysql_query('s', {literal(f'SELECT {listed} FROM city.{name}')})")


def driver(where: str, folder: Path) -> int:
    """PyMySQL's streaming cursor, its values as text."""
    address, name = where.split()
    with _connected(address) as con, con.cursor(SSCursor) as cursor:
        cursor.execute(f"SELECT * FROM {name}")
        names = [column[0] for column in cursor.description]
        with TextFile(folder / "rows.parquet", names) as file:
            while rows := cursor.fetchmany(PIECE):
                file.add(columns_of(rows, len(names)))
    return file.rows


def sqlalchemy(where: str, folder: Path) -> int:
    """The connector by SQLAlchemy, as for databases without a way of their own."""
    return _by_citylake(where.replace("mysql:", "mysql+pymysql:"), folder)


def citylake(where: str, folder: Path) -> int:
    """The connector: PyMySQL asks, rows are decoded many at a time."""
    return _by_citylake(where, folder)


CONTENDERS: dict[str, Contender] = {
    "mysql_scanner": scanner,
    "mysql_scanner, all as CHAR": scanner_texts,
    "PyMySQL SSCursor": driver,
    "SQLAlchemy stream": sqlalchemy,
    "citylake": citylake,
}
"""Each is told the address of the server and the name of the table, with a space between them."""


def _by_duckdb(address: str, folder: Path, query: str) -> int:
    with connect(folder / "scratch") as con:
        load_extension(con, "mysql_scanner")
        con.execute(f"ATTACH {literal(address)} AS s (TYPE mysql, READ_ONLY)")
        target = literal(str(folder / "rows.parquet"))
        row = con.execute(
            f"COPY ({query}) TO {target} (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1)"
        ).fetchone()
        return int(row[0]) if row else 0


def _by_citylake(where: str, folder: Path) -> int:
    address, name = where.split()
    request = Request(folder / "rows.parquet", folder, lambda _: address, "", (), (), folder / "scratch")
    pulled = connectors["database"].function(request, connection="source", table=name)
    return pulled.rows if pulled else 0


def _connected(address: str) -> pymysql.Connection:
    parts = urlsplit(address)
    return pymysql.connect(
        host=parts.hostname, port=parts.port, user=parts.username, password="", database="city", charset="utf8mb4"
    )


def _names(address: str, name: str) -> list[str]:
    with _connected(address) as con, con.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {name} LIMIT 0")
        return [column[0] for column in cursor.description]


def cell(name: str, address: str) -> str | None:
    """What a contender makes of the one cell of the table `odd`, here."""
    with tempfile.TemporaryDirectory() as folder:
        CONTENDERS[name](f"{address} odd", Path(folder))
        ((found,),) = duckdb.sql(f"FROM '{folder}/rows.parquet'").fetchall()
        return None if found is None else str(found)


def wrong(name: str, address: str, server: MariaDB) -> list[str]:
    """The types of which a contender got the value wrong, each asked for alone."""
    found = []
    command = [sys.executable, "-m", "benchmarks.mysql", "--cell", name]
    for type_, (written, shown) in ODD.items():
        server.run(
            "DROP TABLE IF EXISTS odd", f"CREATE TABLE odd (v {type_} NULL)", f"INSERT INTO odd VALUES ({written})"
        )
        done = subprocess.run(command, input=address, text=True, capture_output=True, cwd=REPOSITORY)
        told = json.loads(done.stdout) if done.returncode == 0 else "stops"
        if told != shown:
            found.append(f"{type_} {shown!r}: {told!r}")
    return found


def main(rows: int) -> None:
    """Fill a server, measure every contender, print the wrong cells."""
    with tempfile.TemporaryDirectory() as home:
        server = MariaDB(Path(home))
        try:
            server.run("CREATE USER bench@'%'", "GRANT SELECT ON city.* TO bench@'%'", f"CREATE TABLE big ({BIG})")
            server.run(FILLED.format(rows=rows))
            address = f"mysql://bench@127.0.0.1:{server.port}/city"
            print(f"{rows} rows x 20 columns")
            table("benchmarks.mysql", CONTENDERS, f"{address} big", psutil.Process(server.process.pid))
            for name in CONTENDERS:
                print(f"{name}: {'; '.join(wrong(name, address, server)) or 'no wrong cell'}", flush=True)
        finally:
            server.stop()


if __name__ == "__main__":
    if "--one" in sys.argv:
        one(CONTENDERS[sys.argv[-1]], sys.stdin.read())
    elif "--cell" in sys.argv:
        print(json.dumps(cell(sys.argv[-1], sys.stdin.read())))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 700_000)
