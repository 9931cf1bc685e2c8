"""Small cells: withheld, counted, and not excused by their neighbours."""

from collections import defaultdict

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.contracts.models import Anonymity
from pipelines.privacy.anonymity import CellCounts, k_anonymous, small_cells, withhold

K = Anonymity(k=10, count="persons", quasi=["county", "sex"])
Cell = tuple[str | None, str, int | None]


def table(cells: list[Cell]) -> duckdb.DuckDBPyConnection:
    con = duckdb.connect()
    con.execute("CREATE TABLE cells (county VARCHAR, sex VARCHAR, persons BIGINT)")
    if cells:
        con.executemany("INSERT INTO cells VALUES (?, ?, ?)", cells)
    return con


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ([], CellCounts(0, 0, None, 0)),
        ([("a", "1", 10), ("a", "2", 11)], CellCounts(2, 0, 10, 0)),
        ([("a", "1", 9), ("a", "2", 11)], CellCounts(2, 0, 9, 1)),
        ([("a", "1", 0), ("a", "2", 11)], CellCounts(2, 0, 11, 0)),
        ([("a", "1", None)], CellCounts(1, 0, None, 1)),
        ([("a", "1", -3)], CellCounts(1, 0, -3, 1)),
        ([("a", "1", 9), ("a", "1", 9)], CellCounts(2, 1, 18, 2)),
        ([(None, "1", 10), (None, "1", 12)], CellCounts(2, 1, 22, 0)),
    ],
)
def test_cells(cells: list[Cell], expected: CellCounts) -> None:
    assert k_anonymous(table(cells), "cells", K) == expected


counts = st.one_of(st.none(), st.integers(-2, 25))
tables = st.lists(st.tuples(st.sampled_from(["a", "b", None]), st.sampled_from(["1", "2"]), counts), max_size=8)


@settings(max_examples=60, deadline=None)
@given(cells=tables)
def test_what_is_shown_after_withholding_is_anonymous(cells: list[Cell]) -> None:
    con = table(cells)
    assert small_cells(con, "cells", K) == sum(n is not None and 0 < n < 10 for _, _, n in cells)
    shown = [cell for cell in cells if cell[2] is not None and cell[2] >= 10]
    proved = k_anonymous(con, withhold("cells", K), K)
    groups: dict[tuple[str | None, str], int] = defaultdict(int)
    for county, sex, persons in shown:
        groups[county, sex] += persons or 0
    smallest = min(groups.values(), default=None)
    assert proved == CellCounts(len(shown), len(shown) - len(groups), smallest, 0)
    assert small_cells(con, withhold("cells", K), K) == 0
