"""Small cells: withheld, counted, and not excused by their neighbours."""

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


counts = st.one_of(st.none(), st.integers(0, 25))
tables = st.lists(st.tuples(st.sampled_from(["a", "b", None]), st.sampled_from(["1", "2"]), counts), max_size=8)


@settings(max_examples=100, deadline=None)
@given(cells=tables)
def test_what_is_withheld_does_not_follow_from_the_total(cells: list[Cell]) -> None:
    con = table(cells)
    few = [n for _, _, n in cells if n is None or 0 < n < 10]
    assert small_cells(con, "cells", K) == sum(n is not None for n in few)
    shown = [persons for (persons,) in con.execute(f"SELECT persons FROM {withhold('cells', K)}").fetchall()]
    assert all(persons >= 10 for persons in shown)
    enough = [n for _, _, n in cells if n is not None and n >= 10]
    withheld = sorted(few_known := [n for n in few if n is not None]) + sorted(enough)[: len(enough) - len(shown)]
    assert sorted(shown) == sorted(enough)[len(enough) - len(shown) :]
    if not few:
        assert len(shown) == len(enough)
    elif shown:
        assert len(withheld) + len(few) - len(few_known) >= 2
        assert sum(withheld) >= 10
    assert k_anonymous(con, withhold("cells", K), K).violations == 0


def test_one_small_cell_takes_the_smallest_other_with_it() -> None:
    con = table([("a", "1", 8), ("a", "2", 11), ("b", "1", 12), ("b", "2", 0)])
    shown = con.execute(f"SELECT county, sex, persons FROM {withhold('cells', K)}").fetchall()
    assert shown == [("b", "1", 12)]


def test_nothing_small_withholds_nothing() -> None:
    con = table([("a", "1", 10), ("a", "2", 11), ("b", "2", 0)])
    assert len(con.execute(f"SELECT * FROM {withhold('cells', K)}").fetchall()) == 2


BY_COUNTY = Anonymity(k=10, count="persons", quasi=["county", "sex", "age"], within=["county"])


@settings(max_examples=100, deadline=None)
@given(
    cells=st.dictionaries(
        st.tuples(st.sampled_from("ab"), st.sampled_from("12"), st.integers(0, 3)), st.integers(0, 25)
    )
)
def test_what_is_withheld_does_not_follow_from_the_totals_of_its_county(cells: dict[tuple[str, str, int], int]) -> None:
    con = duckdb.connect()
    con.execute("CREATE TABLE cells (county VARCHAR, sex VARCHAR, age INT, persons BIGINT)")
    if cells:
        con.executemany("INSERT INTO cells VALUES (?, ?, ?, ?)", [(*key, persons) for key, persons in cells.items()])
    shown = {row[:3] for row in con.execute(f"SELECT * FROM {withhold('cells', BY_COUNTY)}").fetchall()}
    for county in "ab":
        mine = {key: persons for key, persons in cells.items() if key[0] == county and persons}
        withheld = [persons for key, persons in mine.items() if key not in shown]
        if withheld and sum(mine.values()) >= 10 and len(mine) > 1:
            assert len(withheld) >= 2 and sum(withheld) >= 10
        assert bool(withheld) == any(persons < 10 for persons in mine.values())
    assert k_anonymous(con, withhold("cells", BY_COUNTY), BY_COUNTY).violations == 0


def test_a_small_cell_takes_a_neighbour_of_its_own_county_with_it() -> None:
    con = duckdb.connect()
    con.execute(
        "CREATE TABLE cells AS SELECT * FROM (VALUES ('a', '1', 0, 8), ('a', '2', 0, 40), ('a', '2', 1, 50), "
        "('b', '1', 0, 11), ('b', '2', 0, 12)) t(county, sex, age, persons)"
    )
    shown = con.execute(f"SELECT county, sex, age FROM {withhold('cells', BY_COUNTY)} ORDER BY ALL").fetchall()
    assert shown == [("a", "2", 1), ("b", "1", 0), ("b", "2", 0)]
