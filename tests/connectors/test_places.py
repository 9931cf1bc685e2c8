"""Where refused rows stand: found again in the files of a delivery as they lie in raw, one file or many."""

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.connectors.base import Request
from pipelines.connectors.drop_batch import ARCHIVE
from pipelines.connectors.formats import Place
from pipelines.connectors.places import files_of, places
from tests.connectors.formats.test_archive import zipped

NAMES = ("id", "name")
CSV = 'id,name\n1,"甲\n乙"\n\n2,丙,丁\n3,"戊\n\n己"\n4,庚\n'
"""Rows begin in lines 2, 5, 6 and 9; the second has a field too many."""
Find = Callable[..., dict[int, Place]]


@pytest.fixture
def find(puller: Callable[..., Any], tmp_path: Path) -> Find:
    """Drop files, take them, and look for rows of the delivery."""

    def run(files: dict[str, bytes], *rows: int, **arguments: Any) -> dict[int, Place]:
        drop = tmp_path / "drop"
        drop.mkdir(exist_ok=True)
        for name, data in files.items():
            (drop / name).write_bytes(data)
            (drop / f"{name}.ok").touch()
        source = puller("file_drop", drop.as_uri(), NAMES)
        source.pull(files="*", **arguments)
        request: Request = source.request()
        found = places(request, arguments, source.batch.with_name("1"), source.pulled.origin, rows)
        assert not [*request.scratch.iterdir()]
        return found

    return run


def line(file: str, number: int) -> Place:
    return Place(file, "line", number)


def test_lines_of_one_file(find: Find) -> None:
    found = find({"人.csv": CSV.encode("gbk")}, 0, 1, 2, 3, format="csv", encoding="gbk")
    assert found == {row: line("人.csv", number) for row, number in enumerate((2, 5, 6, 9))}


def test_rows_of_many_files_are_counted_in_theirs(find: Find) -> None:
    files = {"a.csv": CSV.encode(), "b.csv": b"id,name\n", "c.csv": CSV.encode()}
    found = find(files, 1, 3, 4, 6, format="csv", together=True)
    assert found == {1: line("a.csv", 5), 3: line("a.csv", 9), 4: line("c.csv", 2), 6: line("c.csv", 6)}


def test_members_of_archives_are_named(find: Find) -> None:
    data = zipped({"区/a.csv": CSV.encode(), "区/b.csv": CSV.encode()})
    found = find({"包.zip": data}, 0, 7, format="csv", member="*.csv")
    assert found == {0: line("包.zip/区/a.csv", 2), 7: line("包.zip/区/b.csv", 9)}


def test_what_is_not_kept_has_no_place(puller: Callable[..., Any], tmp_path: Path) -> None:
    request = puller("file_drop", tmp_path.as_uri(), NAMES).request()
    assert places(request, {"format": "csv"}, tmp_path, "x", [0]) == {}
    (tmp_path / "original-a.csv").write_bytes(b"no,header\n")
    assert places(request, {"format": "csv", "header_row": "auto"}, tmp_path, "x", [0]) == {}
    (tmp_path / ARCHIVE).write_bytes(b"damaged")
    assert places(request, {"format": "csv"}, tmp_path, "x", [0]) == {}
    assert places(request, {"format": "of another connector"}, tmp_path, "x", [0]) == {}


@pytest.mark.parametrize("group", [1, 2, 7, 100])
def test_files_of_a_batch_are_told_whatever_its_row_groups(tmp_path: Path, group: int) -> None:
    names = ["a", "a", "b", "c", "c", "c", "甲", "a", "a", "a", "a", "d"]
    pq.write_table(pa.table({"_file": names}), tmp_path / "rows.parquet", row_group_size=group)
    expected = [("a", 0, 2), ("b", 2, 3), ("c", 3, 6), ("甲", 6, 7), ("a", 7, 11), ("d", 11, 12)]
    assert list(files_of(tmp_path / "rows.parquet")) == expected
    pq.write_table(pa.table({"_file": pa.array([], pa.string())}), tmp_path / "none.parquet")
    assert list(files_of(tmp_path / "none.parquet")) == []


def test_no_list_of_names_is_made_of_a_batch(tmp_path: Path) -> None:
    with duckdb.connect() as con:
        con.execute(
            "COPY (SELECT '部门/2026-11/报送_' || (i // 100)::INT AS _file FROM range(300000) t(i) ORDER BY i) "
            f"TO '{tmp_path / 'rows.parquet'}' (FORMAT parquet)"
        )
    tracemalloc.start()
    try:
        assert sum(end - start for _, start, end in files_of(tmp_path / "rows.parquet")) == 300_000
        assert tracemalloc.get_traced_memory()[1] < 2_000_000, "a list of all names took 30 MB"
    finally:
        tracemalloc.stop()
