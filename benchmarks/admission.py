"""From PostgreSQL to admitted core, raw kept: against reading alone, writing alone, and copies that judge nothing: by
DuckDB, and by dlt with its fastest way of reading.

`python -m benchmarks.admission [ROWS]`. 20 columns, 40 rules, one row in a hundred refused.
"""

import json
import sys
import tempfile
from collections.abc import Callable
from datetime import date
from pathlib import Path

import psutil
import psycopg

from benchmarks.contender import Contender, one
from benchmarks.measure import table
from benchmarks.registers import SOURCE, TABLE, contracts, people
from pipelines.admission.admit import admit
from pipelines.admission.receive import receive
from pipelines.contracts.load import load
from pipelines.engine import connect, load_extension
from pipelines.lake.zones import Lake
from pipelines.register import Register
from pipelines.register.receipts import Receipts
from simulator.server import OWNER, Server
from tests.environments import environment


def copy_binary(dsn: str, folder: Path) -> int:
    """The physical limit of reading: COPY ... BINARY into nothing. Returns bytes."""
    with psycopg.connect(dsn) as con, con.cursor().copy(f"COPY {TABLE} TO STDOUT (FORMAT binary)") as copy:
        return sum(len(block) for block in copy)


def write(file: str, folder: Path) -> int:
    """The limit of writing: the same rows, in a database file of DuckDB's own, to Parquet. Returns rows."""
    with connect(folder) as con:
        con.execute(f"ATTACH '{file}' AS source (READ_ONLY)")
        row = con.execute(f"COPY source.person TO '{folder}/rows.parquet' (FORMAT parquet)").fetchone()
        return int(row[0]) if row else 0


def parquet(dsn: str, folder: Path) -> int:
    """A bare copy into Parquet by DuckDB, nothing judged. Returns rows."""
    with connect(folder) as con:
        load_extension(con, "postgres_scanner")
        con.execute(f"ATTACH '{dsn}' AS source (TYPE postgres, READ_ONLY)")
        row = con.execute(f"COPY (SELECT * FROM source.{TABLE}) TO '{folder}/rows.parquet' (FORMAT parquet)").fetchone()
        return int(row[0]) if row else 0


def citylake(dsn: str, folder: Path) -> int:
    """Raw kept and hashed, every rule judged, core, quarantine and hashes committed. Returns accepted rows."""
    known = load(contracts(folder))
    lake = Lake(folder / "lake")
    lake.prepare()
    register = Register(f"sqlite:///{folder / 'register.db'}")
    register.upgrade()
    receipts, contract = Receipts(register, "bench"), known.sources[SOURCE]
    delivery = receive(contract, known, lake, lambda _: dsn, receipts)
    assert delivery is not None
    key, known_at = b"k" * 32, "2026-11-23 00:00:00+00"
    return admit(contract, known, lake, key, delivery, date(2026, 11, 23), known_at, receipts).accepted


def on(source: str, way: Callable[[str, Path], int]) -> Contender:
    """A way, on one of the two sources that it is told of: the server's address (`dsn`), DuckDB's file (`file`)."""
    return lambda where, folder: way(json.loads(where)[source], folder)


CONTENDERS: dict[str, Contender] = {
    "copy_binary": on("dsn", copy_binary),
    "write": on("file", write),
    "parquet": on("dsn", parquet),
    "citylake": on("dsn", citylake),
}


def main(rows: int) -> None:
    """Fill a table of a PostgreSQL of our own and run every contender on it."""
    with tempfile.TemporaryDirectory() as home:
        server = Server(Path(home))
        server.start()
        try:
            with server.connect("postgres") as con:
                con.execute("CREATE SCHEMA bench")
                con.execute(f"CREATE TABLE {TABLE} AS {people(rows)}".encode())
                con.execute(f"ANALYZE {TABLE}".encode())
                password = con.info.password
            dsn = f"postgresql://{OWNER}:{password}@127.0.0.1:{server.port}/postgres"
            postmaster = int((Path(home) / "pgdata" / "postmaster.pid").read_text("utf-8").splitlines()[0])
            file = str(Path(home) / "rows.duckdb")
            with connect(Path(home) / "spill") as duck:
                duck.execute(f"ATTACH '{file}' AS source")
                duck.execute(f"CREATE TABLE source.person AS {people(rows)}")
            print(f"{rows} rows from PostgreSQL")
            where = json.dumps({"dsn": dsn, "file": file, "table": TABLE})
            dlt = {"dlt": (environment("dlt"), "-m", "benchmarks.dlt_copy")}
            found = table("benchmarks.admission", CONTENDERS, where, psutil.Process(postmaster), peers=dlt)
            limit = found["copy_binary"] + found["write"]
            print(f"citylake: {found['citylake'] / limit:.2f} times copy_binary + write")
            print(f"citylake: {found['citylake'] / found['dlt']:.2f} times dlt, which judges and keeps nothing")
        finally:
            server.stop()


if __name__ == "__main__":
    if "--one" in sys.argv:
        one(CONTENDERS[sys.argv[-1]], sys.stdin.read())
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 5_000_000)
