"""After a kill -9 the old version stands, and the next start clears away what the killed run left."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from small_tables import read_rows

from pipelines.lake.candidate import clone_released, promote
from pipelines.lake.cleanup import clean
from pipelines.lake.delta import latest, open_table
from pipelines.lake.errors import MissingTable
from pipelines.lake.zones import Lake

Put = Callable[..., int]

COPY_FOREVER = """
import duckdb, sys
from pathlib import Path
from pipelines.lake.parquet import copy_rows
con = duckdb.connect()
con.execute("set threads = 1")
copy_rows(con, "select i, random() as x from range(100000000) t(i)", Path(sys.argv[1]))
"""
KILLED_BEFORE_COMMIT = """
import duckdb, os, signal, sys
from pathlib import Path
from pipelines.lake import delta
from pipelines.lake.columns import query_schema
from pipelines.lake.parquet import copy_rows
location, query, con = Path(sys.argv[1]), "select 2 as id", duckdb.connect()
written = copy_rows(con, query, location)
delta.write = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
delta.commit(location, query_schema(con, query, "t"), "append", 0, written)
"""


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake(tmp_path / "lake")
    lake.prepare()
    return lake


def start(program: str, location: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", program, str(location)], cwd=Path(__file__).parents[2])


def parquet(location: Path) -> list[Path]:
    return sorted(location.rglob("*.parquet"))


def test_killed_during_copy(lake: Lake, put: Put) -> None:
    table = lake.core("psb", "person")
    put(table, "select 1 as id")
    process = start(COPY_FOREVER, table)
    while len(parquet(table)) == 1:
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert (latest(table), read_rows(table)) == (0, [(1,)])
    cleaned = clean(lake, {table: {0}})
    assert cleaned.files == 1
    assert len(parquet(table)) == 1
    assert read_rows(table) == [(1,)]


def test_killed_between_copy_and_commit(lake: Lake, put: Put) -> None:
    table = lake.core("psb", "person")
    put(table, "select 1 as id")
    assert start(KILLED_BEFORE_COMMIT, table).wait() == -signal.SIGKILL
    assert (latest(table), read_rows(table), len(parquet(table))) == (0, [(1,)], 2)
    assert clean(lake, {}).files == 1
    assert (read_rows(table), len(parquet(table))) == ([(1,)], 1)


def test_a_killed_first_write_leaves_no_table_and_no_file(lake: Lake) -> None:
    orphan = lake.core("psb", "person") / "day=1" / "part-x.parquet"
    orphan.parent.mkdir(parents=True)
    orphan.write_bytes(b"PAR1")
    cleaned = clean(lake, {})
    assert (cleaned.files, cleaned.bytes, orphan.exists()) == (1, 4, False)


def test_kept_versions_stay_readable_and_others_go(lake: Lake, put: Put) -> None:
    table = lake.released("population", "lib_population__person")
    for version in range(4):
        put(table, f"select {version} as id", "table", version - 1 if version else None)
    product = lake.product("open", "population__age")
    put(product, "select 1 as id")
    put(product, "select 2 as id", "table", 0)
    assert clean(lake, {table: {1}}).files == 2
    assert [read_rows(table, version) for version in (1, 3)] == [[(1,)], [(3,)]]  # kept, and the latest
    assert [read_rows(product, version) for version in (0, 1)] == [[(1,)], [(2,)]]  # not named: all are kept
    assert clean(lake, {table: {1}}).files == 0
    with pytest.raises(MissingTable):
        clean(lake, {table: {9}})


def test_candidates_go_and_their_released_files_stay(lake: Lake, put: Put) -> None:
    model = "lib_population__person"
    released, first = lake.released("population", model), lake.candidate("e1", "population", model)
    put(first, "select 1 as id")
    promote(first, 0, released, allow_schema_change=False, metadata={}, transaction=("release", 1))
    kept, other = lake.candidate("e2", "population", model), lake.candidate("e2", "population", f"{model}_tag")
    for location in (kept, other):
        clone_released(released, 0, location)
    (lake.scratch() / "spill").mkdir()
    (lake.scratch() / "spill" / "x").write_text("x")
    cleaned = clean(lake, {released: {0}}, [kept, lake.candidate("e0", "population", model)])
    assert cleaned.editions == ["e1"] and not other.exists()
    assert read_rows(released) == [(1,)]
    assert read_rows(kept) == [(1,)]
    assert list(lake.scratch().iterdir()) == []


def test_what_another_process_is_at_stays_until_it_has_ended(lake: Lake) -> None:
    """A query of the portal that spills, a search through backups: neither has the lock of runs."""
    other = subprocess.Popen(["sleep", "600"])
    theirs, ours = (lake.scratch() / f"spill-{pid}-0a" for pid in (other.pid, os.getpid()))
    for folder in (theirs, ours):
        folder.mkdir()
    clean(lake, {})
    assert list(lake.scratch().iterdir()) == [theirs]
    other.kill()
    other.wait()
    clean(lake, {})
    assert list(lake.scratch().iterdir()) == []


def test_a_torn_newest_log_entry_is_dropped(lake: Lake, put: Put) -> None:
    table = lake.core("psb", "person")
    put(table, "select 1 as id")
    put(table, "select 2 as id", "append", 0)
    (table / "_delta_log" / f"{1:020}.json").write_text("")
    (table / "_delta_log" / "_commit_x.json.tmp").write_text("")
    clean(lake, {table: {0}})
    assert (latest(open_table(table) and table), read_rows(table)) == (0, [(1,)])
    assert sorted(os.listdir(table / "_delta_log")) == [f"{0:020}.json"]


def test_a_log_entry_that_is_whole_stays_whatever_values_it_holds(lake: Lake, put: Put) -> None:
    table = lake.core("psb", "person")
    put(table, "select 'a' as name")
    put(table, "select chr(8232) || chr(133) as name", "append", 0)
    clean(lake, {table: {0}})
    assert latest(table) == 1 and len(read_rows(table)) == 2


def test_what_was_not_finished_goes_and_what_stands_beside_it_stays(lake: Lake) -> None:
    raw, hashes = lake.raw("psb", "person"), lake.hashes("psb", "person")
    book, downloads = lake.corrections("psb", "person"), lake.root / "released" / "files" / "open" / "population__age"
    left = [
        raw / "partial" / "rows.parquet",
        hashes / ".3-3-0a.parquet.partial",
        book.with_name(".person.json.partial"),
        downloads / ".v3.partial" / "population__age.csv",
        downloads / "v3" / "population__age.csv",  # whole, and its version was never released
    ]
    stays = [
        raw / "1" / "rows.parquet",
        hashes / "2-2-0a.parquet",
        book,
        downloads / "v2" / "population__age.csv",
    ]
    for file in [*left, *stays]:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("x")
    clean(lake, {lake.product("open", "population__age"): {1, 2}})
    assert [file for file in [*left, *stays] if file.exists()] == stays
    assert not (raw / "partial").exists()
