"""A whole snapshot, of which one row in a hundred is another, to an applied set of changes: against a Delta merge.

`python -m benchmarks.snapshot [ROWS [CONTENDER]]`, a million rows and both if not said: with six million the merge took
all of 23 GB of memory, so there only `citylake` is asked for.
Both contenders find core as the first snapshot left it and get the second as raw Parquet; ours judges it by 40 rules
besides, keeps the history and refuses one row in a hundred.
"""

import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable, write_deltalake

from benchmarks.contender import Contender, one
from benchmarks.measure import table
from benchmarks.registers import SOURCE, contracts, people
from pipelines.admission.admit import Admitted, admit
from pipelines.admission.receive import Delivery
from pipelines.contracts.load import load
from pipelines.engine import connect
from pipelines.lake.zones import Lake
from pipelines.register import Register
from pipelines.register.receipts import Receipts


def admitted(where: str, folder: Path, batch: int, file: str) -> Admitted:
    """Admit one snapshot as a batch of the city below `where`."""
    home = Path(where)
    known, lake = load(home / "data_contracts"), Lake(home / "lake")
    register = Register(f"sqlite:///{home / 'register.db'}")
    path, rows = home / file, pq.read_metadata(home / file).num_rows
    delivery = Delivery(batch, rows, path, True, ())
    at = f"2026-11-{20 + batch} 00:00:00+00"
    arguments = (known.sources[SOURCE], known, lake, b"k" * 32, delivery, date(2026, 11, 23), at)
    return admit(*arguments, Receipts(register, "bench"))


def citylake(where: str, folder: Path) -> int:
    """Judge, compare with the hashes kept, commit the changes. Returns inserted, updated and deleted rows."""
    shutil.copytree(Path(where), folder / "city", symlinks=True)  # so that it can be done again
    outcome = admitted(str(folder / "city"), folder, 2, "second.parquet")
    return outcome.inserted + outcome.updated + outcome.deleted


def delta_merge(where: str, folder: Path) -> int:
    """What a merge does: update what differs, insert what is new, delete what is gone. Nothing judged, no history."""
    shutil.copytree(Path(where) / "delta", folder / "delta")
    source = pq.ParquetFile(Path(where) / "second.parquet")
    columns = [name for name in source.schema_arrow.names if name != "record_no"]
    differs = " OR ".join(f"(t.{name} IS DISTINCT FROM s.{name})" for name in columns)
    found = (
        DeltaTable(folder / "delta")
        .merge(_reader(source), "t.record_no = s.record_no", source_alias="s", target_alias="t")
        .when_matched_update_all(differs)
        .when_not_matched_insert_all()
        .when_not_matched_by_source_delete()
        .execute()
    )
    return sum(found[f"num_target_rows_{kind}"] for kind in ("inserted", "updated", "deleted"))


def _reader(file: pq.ParquetFile) -> pa.RecordBatchReader:
    return pa.RecordBatchReader.from_batches(file.schema_arrow, file.iter_batches())


CONTENDERS: dict[str, Contender] = {"delta_merge": delta_merge, "citylake": citylake}


def main(rows: int, names: Sequence[str]) -> None:
    """Make both snapshots, admit the first, and run the contenders on the second."""
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        contracts(home)
        Lake(home / "lake").prepare()
        Register(f"sqlite:///{home / 'register.db'}").upgrade()
        with connect(home / "spill") as con:
            for file, query in (("first", people(rows)), ("second", people(rows, changed=100))):
                con.execute(f"COPY ({query}) TO '{home / file}.parquet' (FORMAT parquet)")
        first = admitted(name, home, 1, "first.parquet")
        if "delta_merge" in names:
            write_deltalake(home / "delta", _reader(pq.ParquetFile(home / "first.parquet")))
        print(
            f"snapshots of {rows} rows; the first: {json.dumps({'accepted': first.accepted, 'seconds': first.seconds})}"
        )
        table("benchmarks.snapshot", names, name, runs=1)


if __name__ == "__main__":
    if "--one" in sys.argv:
        one(CONTENDERS[sys.argv[-1]], sys.stdin.read())
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000, sys.argv[2:] or list(CONTENDERS))
