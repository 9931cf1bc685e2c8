"""From CSV files to raw Parquet and to admitted core: against DuckDB's own CSV-to-Parquet of the same file.

`python -m benchmarks.files [ROWS]`. Files of 20 columns: clean UTF-8, the same in GBK, and UTF-8 of which 1 % of the
rows are damaged (bytes, too many or too few fields). Every contender runs in a process of its own; CPU seconds and peak
memory are that process's. The machine is shared: compare within one run only.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import duckdb

from pipelines.admission.admit import admit
from pipelines.admission.receive import receive
from pipelines.connectors.base import Request
from pipelines.connectors.formats import LocalFile, opened
from pipelines.contracts.load import load
from pipelines.engine import connect
from pipelines.lake.zones import Lake
from pipelines.register import Register
from pipelines.register.receipts import Receipts

REPOSITORY = Path(__file__).resolve().parent.parent
CONTRACT = "hc/health_record"
USED = [
    "健康档案编号", "身份证号", "姓名", "现住址区划", "现住址", "联系电话", "建档日期", "最近随访日期", "高血压",
    "糖尿病", "家庭医生签约", "档案状态", "血型", "过敏史", "责任医生",
]  # fmt: skip
NAMES = [*USED, *(f"附加{number}" for number in range(20 - len(USED)))]
ENCODINGS = {"utf8": "utf-8", "dirty": "utf-8", "gbk": "gbk"}


def lines(rows: int) -> Iterator[str]:
    """A register of health records, one line each, every value different enough not to compress to nothing."""
    yield ",".join(NAMES)
    for number in range(rows):
        digits = f"{number * 2654435761 % 10**10:010d}"
        yield (
            f"DA{number:010d},3415021980010{digits[:5]},居民{digits[-3:]},34150{number % 7 + 1},"
            f"安徽省六安市金安区皖西路{digits[:4]}号,138{digits[:8]},2019-0{number % 9 + 1}-1{number % 10},"
            f"2026-0{number % 9 + 1}-2{number % 9},{number % 2},{number % 2},{number % 2},1,"
            f"A,无,医生{number % 300},{digits},{number},{digits[:6]}.{digits[6:]},备注{digits[:3]},"
        )


def damaged(number: int, line: bytes) -> bytes:
    """A line, or every hundredth time one that is damaged in one of three ways."""
    if number == 0 or number % 100:
        return line
    return (line[:40] + b"\xff" + line[40:], line.replace(b",", b",,", 1), line[:60])[number // 100 % 3]


def write(folder: Path, rows: int) -> None:
    """The three files."""
    with (
        (folder / "utf8.csv").open("wb") as utf8,
        (folder / "dirty.csv").open("wb") as dirty,
        (folder / "gbk.csv").open("wb") as gbk,
    ):
        for number, line in enumerate(lines(rows)):
            utf8.write(line.encode() + b"\n")
            dirty.write(damaged(number, line.encode()) + b"\n")
            gbk.write(line.encode("gbk") + b"\n")


def duckdb_parquet(kind: str, file: Path, folder: Path) -> int:
    """DuckDB as it is used by hand: sniffed, all text. What it cannot read it leaves out."""
    errors = ", ignore_errors = true" if kind == "dirty" else ""
    with connect(folder) as con:
        source = f"read_csv('{file}', all_varchar = true, header = true{errors})"
        row = con.execute(f"COPY (FROM {source}) TO '{folder}/rows.parquet' (FORMAT parquet)").fetchone()
        return int(row[0]) if row else 0


def raw(kind: str, file: Path, folder: Path) -> int:
    """The format alone: every row in raw Parquet, damaged ones refused with their text."""
    request = Request(
        target=folder / "rows.parquet", root=folder, secret=str, owner="", expected=(), ignored=(), scratch=folder
    )
    with opened(LocalFile(file, file.name, request), "csv", encoding=ENCODINGS[kind]) as table:
        return table.write(request)


def admitted(kind: str, file: Path, folder: Path) -> int:
    """Dropped file kept and hashed, rows in raw, every rule judged, core and quarantine committed."""
    contracts = load(REPOSITORY / "data_contracts")
    lake = Lake(folder / "lake")
    lake.prepare()
    register = Register(f"sqlite:///{folder / 'register.db'}")
    register.upgrade()
    receipts, contract = Receipts(register, "bench"), contracts.sources[CONTRACT]
    contract.connector.arguments.update(files=file.name, encoding=ENCODINGS[kind])
    delivery = receive(contract, contracts, lake, lambda _: file.parent.as_uri(), receipts)
    if delivery is None:
        raise RuntimeError("nothing was delivered")
    known_at = "2026-11-23 00:00:00+00"
    return admit(contract, contracts, lake, b"k" * 32, delivery, date(2026, 11, 23), known_at, receipts).received


CONTENDERS: dict[str, Callable[[str, Path, Path], int]] = {
    "duckdb_parquet": duckdb_parquet,
    "raw": raw,
    "admitted": admitted,
}


def one(name: str, kind: str, file: Path) -> None:
    """Run one contender here and print what it took."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.monotonic()
        result = CONTENDERS[name](kind, file, Path(folder))
        seconds = time.monotonic() - started
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu, peak = used.ru_utime + used.ru_stime, used.ru_maxrss / 1024
    print(json.dumps({"result": result, "wall": seconds, "cpu": cpu, "peak_mb": peak}))


def main(rows: int) -> None:
    """Write the files, run every contender on each of them twice, print the better run."""
    with tempfile.TemporaryDirectory() as home:
        write(Path(home), rows)
        print(f"{rows} rows x {len(NAMES)} columns, DuckDB {duckdb.__version__}, {os.cpu_count()} cores")
        print("| file | MB | contender | rows | CPU s | wall s | peak MB |\n|---|---|---|---|---|---|---|")
        for kind in ENCODINGS:
            file = Path(home) / f"{kind}.csv"
            file.with_name(f"{file.name}.ok").touch()
            for name in CONTENDERS:
                if (kind, name) == ("gbk", "duckdb_parquet"):
                    continue  # it knows no GBK
                best = min((measured(name, kind, file) for _ in range(2)), key=lambda run: run["cpu"])
                row = " | ".join(f"{best[key]:.1f}" for key in ("cpu", "wall", "peak_mb"))
                print(f"| {kind} | {file.stat().st_size >> 20} | {name} | {best['result']:.0f} | {row} |", flush=True)


def measured(name: str, kind: str, file: Path) -> dict[str, float]:
    """One run of a contender in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.files", "--one", name, kind, str(file)]
    output = subprocess.run(command, text=True, capture_output=True, check=True, cwd=REPOSITORY).stdout
    found: dict[str, float] = json.loads(output)
    return found


if __name__ == "__main__":
    if "--one" in sys.argv:
        one(sys.argv[-3], sys.argv[-2], Path(sys.argv[-1]))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 2_000_000)
