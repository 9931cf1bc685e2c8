"""From CSV files to raw Parquet and to admitted core: against DuckDB's own CSV-to-Parquet of the same file.

`python -m benchmarks.files [ROWS [KIND]]`. Files of 20 columns, of which one row in a hundred breaks a rule: UTF-8, the
same in GBK, and UTF-8 of which another one in a hundred is damaged (bytes, too many or too few fields). And `many`: a
thousand files of three rows each, dropped together.
"""

import sys
import tempfile
from collections.abc import Callable
from datetime import date
from pathlib import Path

from benchmarks.contender import Contender, one
from benchmarks.measure import table
from benchmarks.registers import CHANGES, SNAPSHOT, SOURCE, contracts, people
from pipelines.admission.admit import admit
from pipelines.admission.receive import receive
from pipelines.connectors.base import Request
from pipelines.connectors.formats import LocalFile, opened
from pipelines.contracts.load import load
from pipelines.engine import connect
from pipelines.lake.zones import Lake
from pipelines.register import Register
from pipelines.register.receipts import Receipts

ENCODINGS = {"utf8": "utf-8", "dirty": "utf-8", "gbk": "gbk"}
CONNECTOR = "{file_drop: {connection: psb, files: FILE, format: csv, encoding: ENCODING, complete: marker}}"
TOGETHER = CONNECTOR.replace("marker", "marker, together: true")
MANY, FEW = 1_000, 3
"""How many small files, and rows of each."""


def damaged(number: int, line: bytes) -> bytes:
    """A line, or every hundredth time one that is damaged in one of three ways."""
    if number == 0 or number % 100:
        return line
    return (line[:40] + b"\xff" + line[40:], line.replace(b",", b",,", 1), line[:60] + b"\n")[number // 100 % 3]


def write(folder: Path, rows: int) -> None:
    """The three files."""
    with connect(folder / "spill") as con:
        con.execute(f"COPY ({people(rows)}) TO '{folder}/utf8.csv' (HEADER)")
    with (
        (folder / "utf8.csv").open("rb") as utf8,
        (folder / "dirty.csv").open("wb") as dirty,
        (folder / "gbk.csv").open("wb") as gbk,
    ):
        for number, line in enumerate(utf8):
            dirty.write(damaged(number, line))
            gbk.write(line.decode().encode("gbk"))


def write_many(folder: Path) -> None:
    """The small files, each with its marker."""
    folder.mkdir()
    with (folder.parent / "utf8.csv").open("rb") as source:
        header = source.readline()
        for number in range(MANY):
            file = folder / f"many_{number:04}.csv"
            file.write_bytes(header + b"".join(source.readline() for _ in range(FEW)))
            file.with_name(f"{file.name}.ok").touch()


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
    connector = TOGETHER if kind == "many" else CONNECTOR
    connector = connector.replace("FILE", file.name).replace("ENCODING", ENCODINGS.get(kind, "utf-8"))
    known = load(contracts(folder, connector, CHANGES if kind == "many" else SNAPSHOT))
    lake = Lake(folder / "lake")
    lake.prepare()
    register = Register(f"sqlite:///{folder / 'register.db'}")
    register.upgrade()
    receipts, contract = Receipts(register, "bench"), known.sources[SOURCE]
    delivery = receive(contract, known, lake, lambda _: file.parent.as_uri(), receipts)
    if delivery is None:
        raise RuntimeError("nothing was delivered")
    known_at = "2026-11-23 00:00:00+00"
    return admit(contract, known, lake, b"k" * 32, delivery, date(2026, 11, 23), known_at, receipts).accepted


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
CONTENDERS["many"] = lambda home, folder: admitted("many", Path(home) / "many" / "many_*.csv", folder)


def main(rows: int, kind: str) -> None:
    """Write the files and run every contender on each of them, or those of one kind."""
    with tempfile.TemporaryDirectory() as home:
        write(Path(home), rows)
        for encoded in ENCODINGS:
            (Path(home) / f"{encoded}.csv.ok").touch()
        print(f"{rows} rows x 20 columns of CSV")
        write_many(Path(home) / "many")
        table("benchmarks.files", [name for name in CONTENDERS if name.startswith(kind)], home)


if __name__ == "__main__":
    if "--one" in sys.argv:
        one(CONTENDERS[sys.argv[-1]], sys.stdin.read())
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 2_000_000, sys.argv[2] if len(sys.argv) > 2 else "")
