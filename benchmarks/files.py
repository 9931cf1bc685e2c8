"""From CSV files to raw Parquet and to admitted core: against DuckDB's own CSV-to-Parquet of the same file.

`python -m benchmarks.files [ROWS]`. Files of 20 columns: clean UTF-8, the same in GBK, and UTF-8 of which 1 % of the
rows are damaged (bytes, too many or too few fields).
"""

import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

from benchmarks.measure import REPOSITORY, Contender, one, table
from pipelines.admission.admit import admit
from pipelines.admission.receive import receive
from pipelines.connectors.base import Request
from pipelines.connectors.formats import LocalFile, opened
from pipelines.contracts.load import load
from pipelines.engine import connect
from pipelines.lake.zones import Lake
from pipelines.register import Register
from pipelines.register.receipts import Receipts

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
    with opened(LocalFile(file, file.name, request), "csv", encoding=ENCODINGS[kind]) as found:
        return found.write(request)


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


def of_kind(kind: str, way: Callable[[str, Path, Path], int]) -> Contender:
    """A way of reading, on the file of one kind in the folder it is told."""
    return lambda home, folder: way(kind, Path(home) / f"{kind}.csv", folder)


WAYS = (duckdb_parquet, raw, admitted)
CONTENDERS: dict[str, Contender] = {
    f"{kind} {way.__name__}": of_kind(kind, way)
    for kind in ENCODINGS
    for way in WAYS
    if (kind, way) != ("gbk", duckdb_parquet)  # it knows no GBK
}


def main(rows: int) -> None:
    """Write the files and run every contender on each of them."""
    with tempfile.TemporaryDirectory() as home:
        write(Path(home), rows)
        for kind in ENCODINGS:
            (Path(home) / f"{kind}.csv.ok").touch()
        print(f"{rows} rows x {len(NAMES)} columns of CSV")
        table("benchmarks.files", CONTENDERS, home)


if __name__ == "__main__":
    if "--one" in sys.argv:
        one(CONTENDERS[sys.argv[-1]], sys.stdin.read())
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 2_000_000)
