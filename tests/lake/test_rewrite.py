"""Rewritten files: the rows named go, all others stay, in every version; the log keeps no values of theirs."""

import random
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pytest
from deltalake import DeltaTable
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.codecs.sql import literal
from pipelines.lake import delta
from pipelines.lake.rewrite import Change, mend_log, rewrite
from tests.city import seed_from_clock

Put = Callable[..., int]


def test_rows_go_from_every_version_and_no_value_stays_in_the_log(
    tmp_path: Path, put: Put, rows: Callable[..., list[tuple[object, ...]]]
) -> None:
    seed = seed_from_clock()
    print(f"CITYLAKE_TEST_SEED={seed}")
    table = tmp_path / "table"
    put(table, "SELECT i, 'z' || i AS name, DATE '2026-01-01' + i::INT AS day FROM range(100) t(i)")
    put(table, "SELECT i, 'z' || i AS name, DATE '2026-01-01' + i::INT AS day FROM range(100, 150) t(i)", base=0)
    put(table, "SELECT i, 'q' || i AS name, DATE '2026-01-01' AS day FROM range(3) t(i)", "table", base=1)
    before = [rows(table, version) for version in range(3)]
    gone = set(random.Random(seed).sample(range(150), 5)) | {99, 149}
    named = []
    with duckdb.connect() as con:
        for file in sorted(table.glob("*.parquet")):
            read = f"read_parquet({literal(str(file))}, file_row_number = true)"
            listed = ", ".join(f"'z{one}'" for one in gone)
            found = con.execute(f"SELECT file_row_number FROM {read} WHERE name IN ({listed})").fetchall()
            if found:
                rewrite(con, file, Change([place for (place,) in found]))
                named.append(file.name)
        DeltaTable(table).create_checkpoint()
        for _ in range(2):  # a killed order mends again
            mend_log(con, table, named)
    kept = [[row for row in version if row[1] not in {f"z{one}" for one in gone}] for version in before]
    assert [rows(table, version) for version in range(3)] == kept
    log = "".join(path.read_text() for path in (table / "_delta_log").glob("*.json"))
    (checkpoint,) = (table / "_delta_log").glob("*.checkpoint.parquet")
    log += str(duckdb.sql(f"FROM {literal(str(checkpoint))}").fetchall())
    assert "z99" not in log and "z149" not in log
    for version in range(3):
        opened = delta.open_table(table, version)
        assert delta.row_count(opened) == len(kept[version])
        assert not delta.torn_files(table, delta.table_files(opened))


def test_values_that_hold_what_ends_lines_of_text_break_no_log(
    tmp_path: Path, put: Put, rows: Callable[..., list[tuple[object, ...]]]
) -> None:
    """Departments paste from web pages: the smallest and greatest values stand in the log as they are."""
    table = tmp_path / "table"
    put(table, "SELECT i, chr(8232) || i || chr(133) AS name FROM range(9) t(i)")
    put(table, "SELECT i, chr(8233) || i AS name FROM range(9, 12) t(i)", base=0)
    assert delta.commit_metadata(table, 1) is not None
    (file,) = {one.path for one in delta.table_files(delta.open_table(table, 0))}
    with duckdb.connect() as con:
        rewrite(con, table / file, Change([4]))
        mend_log(con, table, [file])
    assert [row[0] for row in rows(table, 0)] == [0, 1, 2, 3, 5, 6, 7, 8]
    assert delta.row_count(delta.open_table(table, 0)) == 8


def test_a_table_can_be_opened_wherever_its_checkpoint_was_being_removed(
    tmp_path: Path, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "table"
    put(table, "SELECT i FROM range(3) t(i)")
    DeltaTable(table).create_checkpoint()
    unlink, left = Path.unlink, 0

    def killed(path: Path, missing_ok: bool = False) -> None:
        nonlocal left
        if (left := left - 1) < 0:
            raise KeyboardInterrupt
        unlink(path, missing_ok)

    for steps in range(2):
        left = steps
        with monkeypatch.context() as patched, duckdb.connect() as con, pytest.raises(KeyboardInterrupt):
            patched.setattr(Path, "unlink", killed)
            mend_log(con, table, [])
        assert delta.row_count(delta.open_table(table)) == 3
    with duckdb.connect() as con:
        mend_log(con, table, [])
    assert delta.row_count(delta.open_table(table)) == 3


def test_marks_keep_rows_in_their_place(tmp_path: Path) -> None:
    file = tmp_path / "rows.parquet"
    with duckdb.connect() as con:
        con.execute(f"COPY (SELECT i, 'n' || i AS name FROM range(5) t(i)) TO {literal(str(file))}")
        rewrite(con, file, Change([1], {"name": [3]}, {"_erased": {1: "N-1"}}))
        rewrite(con, file, Change([4], {}, {"_erased": {4: "N-2"}}))
        found = con.execute(f"SELECT i, name, _erased FROM {literal(str(file))}").fetchall()
    assert found == [(0, "n0", None), (None, None, "N-1"), (2, "n2", None), (3, None, None), (None, None, "N-2")]


@settings(max_examples=20, deadline=None)
@given(st.sets(st.integers(0, 19)), st.sets(st.integers(0, 19)))
def test_the_places_that_are_named_go_or_are_emptied_and_no_other(gone: set[int], emptied: set[int]) -> None:
    with TemporaryDirectory() as folder, duckdb.connect() as con:
        file = Path(folder) / "rows.parquet"
        con.execute(f"COPY (SELECT i, 'n' || i AS name FROM range(20) t(i)) TO {literal(str(file))}")
        rewrite(con, file, Change(sorted(gone), {"name": sorted(emptied)}))
        found = con.execute(f"SELECT i, name FROM {literal(str(file))}").fetchall()
    assert found == [(i, None if i in emptied else f"n{i}") for i in range(20) if i not in gone]
