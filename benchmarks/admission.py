"""From PostgreSQL to admitted core, raw kept: against the copy alone and against a Parquet write of the same rows.

`python -m benchmarks.admission [PERSONS]`. Every contender runs in a process of its own; CPU seconds count that process
and the database server, peak memory that process. The machine is shared: compare within one run only.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

import duckdb
import psutil
import psycopg

from pipelines.admission.admit import admit
from pipelines.admission.receive import receive
from pipelines.contracts.load import load
from pipelines.engine import connect, load_extension
from pipelines.lake.zones import Lake
from pipelines.register import Register
from pipelines.register.receipts import Receipts
from simulator import DemoCity

REPOSITORY = Path(__file__).resolve().parent.parent
TABLE = 'hzgl."T_CZRK_JBXX"'


def copy_binary(dsn: str, folder: Path) -> int:
    """The physical limit of reading: COPY ... BINARY into nothing. Returns bytes."""
    with psycopg.connect(dsn) as con, con.cursor().copy(f"COPY {TABLE} TO STDOUT (FORMAT binary)") as copy:
        return sum(len(block) for block in copy)


def parquet(dsn: str, folder: Path) -> int:
    """A bare copy into Parquet by DuckDB, nothing judged. Returns rows."""
    with connect(folder) as con:
        load_extension(con, "postgres_scanner")
        con.execute(f"ATTACH '{dsn}' AS source (TYPE postgres, READ_ONLY)")
        row = con.execute(f"COPY (SELECT * FROM source.{TABLE}) TO '{folder}/rows.parquet' (FORMAT parquet)").fetchone()
        return int(row[0]) if row else 0


def citylake(dsn: str, folder: Path) -> int:
    """Raw kept and hashed, every rule judged, core and quarantine committed. Returns accepted rows."""
    contracts = load(REPOSITORY / "data_contracts")
    lake = Lake(folder / "lake")
    lake.prepare()
    register = Register(f"sqlite:///{folder / 'register.db'}")
    register.upgrade()
    receipts, contract = Receipts(register, "bench"), contracts.sources["psb/household_person"]
    delivery = receive(contract, contracts, lake, lambda _: dsn, receipts)
    key, known_at = b"k" * 32, "2026-11-23 00:00:00+00"
    return admit(contract, contracts, lake, key, delivery, date(2026, 11, 23), known_at, receipts).accepted


CONTENDERS: dict[str, Callable[[str, Path], int]] = {
    "copy_binary": copy_binary,
    "parquet": parquet,
    "citylake": citylake,
}


def one(name: str, dsn: str) -> None:
    """Run one contender here and print what it took."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.monotonic()
        result = CONTENDERS[name](dsn, Path(folder))
        seconds = time.monotonic() - started
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu, peak = used.ru_utime + used.ru_stime, used.ru_maxrss / 1024
    print(json.dumps({"result": result, "wall": seconds, "cpu": cpu, "peak_mb": peak}))


def server_cpu(postmaster: int) -> float:
    """CPU seconds of a PostgreSQL server and all backends that have ended."""
    times = psutil.Process(postmaster).cpu_times()
    return times.user + times.system + times.children_user + times.children_system


def main(persons: int) -> None:
    """Populate a city, run every contender twice, print the better run."""
    with tempfile.TemporaryDirectory() as home, DemoCity(Path(home), persons=persons) as city:
        city.populate()
        postmaster = int((Path(home) / "pgdata" / "postmaster.pid").read_text("utf-8").splitlines()[0])
        print(f"{persons} persons, DuckDB {duckdb.__version__}, {os.cpu_count()} cores")
        print("| contender | result | CPU s client | CPU s server | wall s | peak MB |\n|---|---|---|---|---|---|")
        for name in CONTENDERS:
            runs = [measured(name, city.reader_dsn, postmaster) for _ in range(2)]
            best = min(runs, key=lambda run: run["cpu"] + run["server"])
            row = (f"{best[key]:.1f}" for key in ("cpu", "server", "wall", "peak_mb"))
            print(f"| {name} | {best['result']:.0f} | {' | '.join(row)} |")


def measured(name: str, dsn: str, postmaster: int) -> dict[str, float]:
    """One run of a contender in a process of its own."""
    before = server_cpu(postmaster)
    command = [sys.executable, "-m", "benchmarks.admission", "--one", name]
    output = subprocess.run(command, input=dsn, text=True, capture_output=True, check=True, cwd=REPOSITORY).stdout
    return {**json.loads(output), "server": server_cpu(postmaster) - before}


if __name__ == "__main__":
    if "--one" in sys.argv:
        one(sys.argv[-1], sys.stdin.read())
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 500_000)
