"""Counts beside the main one of which another open table tells the totals: what is withheld must not follow from them
either, whoever subtracts."""

from itertools import product
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from pipelines.contracts.forms.products import Anonymity, Breakdown, CountedBeside, OnlyWhere
from pipelines.privacy.anonymity import k_anonymous, protect, twins
from pipelines.privacy.attack import Attack, bounds
from pipelines.privacy.breakdowns import NEAR, equations

K = 10
GRADES = Breakdown(
    groups=["good", "fair", "bad", "worse"],
    counts={"good": ["good"], "fair": ["fair"], "bad": ["bad"], "worse": ["worse"], "satisfied": ["good", "fair"]},
    insensitive="the rows of these tests are far from each other",
)
ALONE = Anonymity(
    k=K, count="marks", quasi=["office", "county"], within=["county"], breakdowns=[GRADES], rates={"rate": "satisfied"}
)
BESIDE = CountedBeside(totals=["satisfied"], because="its numerator is what each county has of them")
TOLD = ALONE.model_copy(update={"beside": {"open/county_indicator": BESIDE}})
Grades = tuple[int, int, int, int]


def table(rows: dict[tuple[str, str], Grades]) -> pa.Table:
    names = ("marks", *GRADES.counts)
    kinds: list[tuple[str, Any]] = [("office", pa.string()), ("county", pa.string())]
    kinds += [*((name, pa.int64()) for name in names), ("rate", pa.float64())]
    made = []
    for (office, county), (good, fair, bad, worse) in rows.items():
        marks, satisfied = good + fair + bad + worse, good + fair
        row = {"office": office, "county": county, "marks": marks, "satisfied": satisfied}
        row |= dict(zip(GRADES.groups, (good, fair, bad, worse), strict=True))
        made.append(row | {"rate": satisfied / marks if marks else None})
    return pa.Table.from_pylist(made, pa.schema(kinds))


def county(unhappy: Grades) -> dict[tuple[str, str], Grades]:
    """Five offices of a county, one of which has few who are not satisfied."""
    others = {(office, "a"): (90 + number, 80, 40, 30) for number, office in enumerate("bcde")}
    return {("a", "a"): unhappy, **others}


def test_the_attack_subtracts_what_is_shown_from_the_total_of_another_table() -> None:
    truth = table(county((100, 90, 2, 1)))
    shown = protect(truth, ALONE)
    (hidden,) = [row for row in shown.to_pylist() if row["satisfied"] is None]
    others = sum(row["satisfied"] for row in shown.to_pylist() if row is not hidden and row["satisfied"] is not None)
    total = sum(truth["satisfied"].to_pylist())
    assert hidden["marks"] - (total - others) == 3, "three were not satisfied: anybody can tell"
    assert bounds(truth, shown, ALONE).broken == 0
    found = bounds(truth, shown, TOLD)
    assert found.broken > 0 and found.narrowest == 1


def test_another_row_is_emptied_for_a_total_that_is_known() -> None:
    truth = table(county((100, 90, 2, 1)))
    shown = protect(truth, TOLD)
    assert bounds(truth, shown, TOLD).broken == 0
    emptied = [row["office"] for row in shown.to_pylist() if row["satisfied"] is None]
    assert len(emptied) == 2 and "a" in emptied
    assert all(row["rate"] is None for row in shown.to_pylist() if row["office"] in emptied)
    assert shown["marks"].to_pylist() == truth["marks"].to_pylist(), "who was counted at all stays known"


def test_nothing_more_is_emptied_where_nothing_is_small() -> None:
    truth = table(county((100, 90, 20, 10)))
    assert protect(truth, TOLD).equals(truth)


def test_what_the_other_table_itself_withholds_is_not_known() -> None:
    """Nine of a county are not satisfied: whoever publishes the county's figure withholds it."""
    truth = table({("a", "a"): (60, 50, 5, 4), ("b", "a"): (70, 60, 0, 0)})
    assert protect(truth, TOLD).equals(protect(truth, ALONE))


grades = st.tuples(*[st.sampled_from([0, 0, 1, 3, 6, 11, 25]) for _ in range(4)])
tables = st.dictionaries(st.tuples(st.sampled_from("abcd"), st.sampled_from("xy")), grades, max_size=6)


@settings(max_examples=40, deadline=None)
@given(rows=tables)
def test_nothing_withheld_follows_from_a_total(rows: dict[tuple[str, str], Grades]) -> None:
    truth = table(rows)
    shown = protect(truth, TOLD)
    assert bounds(truth, shown, TOLD).broken == 0
    alone = {(row["office"], row["county"]): row for row in protect(truth, ALONE).to_pylist()}
    assert {(row["office"], row["county"]) for row in shown.to_pylist()} == alone.keys()
    for row in shown.to_pylist():
        before = alone[row["office"], row["county"]]
        assert all(value in (None, before[name]) for name, value in row.items()), "more is emptied, never less"


@settings(max_examples=15, deadline=None)
@given(rows=st.lists(grades.filter(lambda one: sum(one) >= K), min_size=2, max_size=4))
def test_the_bounds_are_those_of_all_rows_at_once(rows: list[Grades]) -> None:
    """The attack goes from row to row; one programme of a whole part with its total has the same extremes."""
    truth = table({(office, "a"): one for office, one in zip("abcd", rows, strict=False)})
    shown = protect(truth, ALONE)
    told, unhappy = sum(sum(one[:2]) for one in rows), sum(sum(one[2:]) for one in rows)
    if shown.num_rows == len(rows) and told >= K and unhappy >= K:
        assert bounds(truth, shown, TOLD) == _at_once(np.array(rows, float), shown, told)


def _at_once(rows: np.ndarray[Any, Any], shown: pa.Table, total: int) -> Attack:
    """Every cell by a programme of its own over all groups of all rows and the total."""
    names = ["marks", *GRADES.counts]
    forms, size = equations(GRADES, names[1:]), len(GRADES.groups)
    said = np.column_stack([shown[name].cast(pa.float64()).to_numpy() for name in names])

    def at(row: int, form: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        placed = np.zeros(rows.shape)
        placed[row] = form
        return placed.ravel()

    known = [(row, place) for row, place in product(range(len(rows)), range(len(names))) if said[row, place] >= 0]
    left = [at(row, forms[place]) for row, place in known] + [np.tile(forms[names.index("satisfied")], len(rows))]
    right = [said[row, place] for row, place in known] + [total]
    asked = [
        (row, np.eye(size)[group]) for row, group in product(range(len(rows)), range(size)) if 0 < rows[row, group] < K
    ]
    asked += [
        (row, forms[place]) for row, place in product(range(len(rows)), range(len(names))) if np.isnan(said[row, place])
    ]
    widths = []
    for row, form in asked:
        low, high = (sign * linprog(sign * at(row, form), A_eq=left, b_eq=right).fun for sign in (1, -1))
        widths.append(int(np.floor(high + NEAR) - np.ceil(low - NEAR)) + 1)
    return Attack(len(asked), min(widths, default=None), sum(width < K for width in widths))


def test_rows_that_are_never_shown_have_no_figures() -> None:
    only = OnlyWhere(column="unit", values=["%"], unshown=["‰"])
    anonymity = Anonymity(k=K, count="persons", quasi=["county"], only=only, emptied=True)
    rows = pa.table({"county": list("abc"), "unit": ["%", "‰", "台"], "persons": [30, 40, 2]})
    shown = protect(rows, anonymity)
    assert shown["persons"].to_pylist() == [30, None, 2]
    with duckdb.connect() as con:
        con.register("truth", rows)
        con.register("shown", shown)
        assert k_anonymous(con, "truth", anonymity).violations == 1
        assert k_anonymous(con, "shown", anonymity).violations == 0


PEOPLE = OnlyWhere(column="kind", values=["share"])
INDICATORS = Anonymity(k=K, count="whole", quasi=["kind", "county"], only=PEOPLE, emptied=True)


def indicators(**kinds: list[int]) -> pa.Table:
    """Rows of kinds of indicators, one for each county."""
    rows = [
        {"kind": kind, "county": place, "whole": n}
        for kind, values in kinds.items()
        for place, n in zip("abcd", values, strict=True)
    ]
    return pa.Table.from_pylist(rows)


def test_a_count_that_stands_in_another_row_again_is_found() -> None:
    rows = indicators(share=[3, 40, 50, 12], registered=[3, 40, 50, 12], stations=[3, 4, 5, 1], days=[30, 30, 30, 30])
    assert twins(rows, INDICATORS) == [("registered", "whole", "share")]
    said = INDICATORS.model_copy(update={"only": PEOPLE.model_copy(update={"alike": {"registered": "share"}})})
    assert twins(rows, said) == []
    assert twins(indicators(share=[30, 30, 30, 30], days=[30, 30, 30, 30]), INDICATORS) == [], "one number everywhere"


def test_a_count_that_stands_again_is_withheld_with_the_first() -> None:
    rows = indicators(share=[3, 40, 50, 12], registered=[3, 40, 50, 12], stations=[3, 4, 5, 1])
    said = INDICATORS.model_copy(update={"only": PEOPLE.model_copy(update={"alike": {"registered": "share"}})})
    shown = {(row["kind"], row["county"]): row["whole"] for row in protect(rows, said).to_pylist()}
    for kind in ("share", "registered"):
        assert [shown[kind, county] for county in "abcd"] == [None, 40, 50, None]
    assert [shown["stations", county] for county in "abcd"] == [3, 4, 5, 1]


@pytest.mark.parametrize("name", ["good", "satisfied"])
def test_totals_are_those_that_other_products_show(name: str) -> None:
    beside = {"open/one": CountedBeside(totals=[name], because="…"), "open/two": CountedBeside(because="…")}
    assert ALONE.model_copy(update={"beside": beside}).totals == {name}
