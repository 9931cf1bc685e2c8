"""Small cells: withheld with their neighbours, counted, and not to be inferred by anybody who has what is published."""

from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.contracts.forms.products import Anonymity, Breakdown
from pipelines.privacy.anonymity import Before, CellCounts, k_anonymous, protect, separating
from pipelines.privacy.attack import bounds, differences
from pipelines.privacy.breakdowns import determined
from tests.draws import draws

K = 10
BY_SEX = Anonymity(k=K, count="persons", quasi=["county", "sex"])
BY_COUNTY = Anonymity(k=K, count="persons", quasi=["county", "sex", "age"], within=["county"])
STATES = Breakdown(
    groups=["on_time", "late", "open_overdue", "open_in_time"],
    counts={"finished": ["on_time", "late"], "on_time": ["on_time"], "overdue": ["late", "open_overdue"]},
    insensitive="whether an office is in time says nothing of who asked",
)
REPEATS = Breakdown(groups=["repeated", "first"], counts={"repeated": ["repeated"]}, insensitive="as above")
CASES = Anonymity(k=K, count="cases", quasi=["county"], breakdowns=[STATES, REPEATS], rates={"rate": "finished"})
ROWS_ONLY = CASES.model_copy(update={"breakdowns": [], "rates": {}})
Cell = tuple[str | None, str, int | None]
Rows = list[dict[str, Any]]


def by_sex(cells: list[Cell]) -> pa.Table:
    names = ("county", "sex", "persons")
    schema = pa.schema([("county", pa.string()), ("sex", pa.string()), ("persons", pa.int64())])
    return pa.Table.from_pylist([dict(zip(names, cell, strict=True)) for cell in cells], schema)


def by_age(cells: dict[tuple[str, str, int], int]) -> pa.Table:
    schema = pa.schema([("county", pa.string()), ("sex", pa.string()), ("age", pa.int64()), ("persons", pa.int64())])
    return pa.Table.from_pylist(
        [{"county": county, "sex": sex, "age": age, "persons": n} for (county, sex, age), n in cells.items()], schema
    )


def of_cases(states: list[tuple[int, int, int, int, int]]) -> pa.Table:
    """Counts as the model has them, from how many are in each state and how many of all are repeated."""
    rows = []
    for number, (on_time, late, open_overdue, open_in_time, repeated) in enumerate(states):
        cases = on_time + late + open_overdue + open_in_time
        finished = on_time + late
        row = {"county": str(number), "cases": cases, "finished": finished, "on_time": on_time}
        row |= {"overdue": late + open_overdue, "repeated": min(repeated, cases)}
        rows.append(row | {"rate": finished / cases if cases else None})
    kinds: list[tuple[str, Any]] = [(name, pa.int64()) for name in ("finished", "on_time", "overdue", "repeated")]
    return pa.Table.from_pylist(
        rows, pa.schema([("county", pa.string()), ("cases", pa.int64()), *kinds, ("rate", pa.float64())])
    )


def measured(table: pa.Table, anonymity: Anonymity) -> CellCounts:
    with duckdb.connect() as con:
        con.register("cells", table)
        return k_anonymous(con, "cells", anonymity)


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
    assert measured(by_sex(cells), BY_SEX) == expected


keys = st.tuples(st.sampled_from("abc"), st.sampled_from("12"), st.integers(0, 3))
tables = st.dictionaries(keys, st.integers(0, 25), max_size=16)


@settings(max_examples=draws(80), deadline=None)
@given(cells=tables)
def test_no_withheld_row_follows_from_totals(cells: dict[tuple[str, str, int], int]) -> None:
    truth = by_age(cells)
    shown = protect(truth, BY_COUNTY)
    found = measured(shown, BY_COUNTY)
    assert found.violations == 0
    attack = bounds(truth, shown, BY_COUNTY)
    assert attack.broken == 0
    assert attack.narrowest is None or attack.narrowest >= K
    if not any(0 < n < K for n in cells.values()):
        assert shown.num_rows == sum(n > 0 for n in cells.values())


@settings(max_examples=draws(80), deadline=None)
@given(cells=tables, changes=tables)
def test_no_withheld_row_follows_from_the_release_before(
    cells: dict[tuple[str, str, int], int], changes: dict[tuple[str, str, int], int]
) -> None:
    """Days of one table: on each of them what is shown is attacked with the day before."""
    before = list[Before]()
    for day in ({}, changes, {}):
        cells = cells | day
        truth = by_age(cells)
        shown = protect(truth, BY_COUNTY, before)
        assert bounds(truth, shown, BY_COUNTY).broken == 0
        if before and _enough_is_new(cells, before[0]):
            assert differences(truth, shown, before, BY_COUNTY).broken == 0
        before = [Before(shown, truth)]


@settings(max_examples=draws(40), deadline=None)
@given(cells=tables, changes=st.lists(tables, min_size=1, max_size=4))
def test_all_releases_tell_no_less_than_the_last(
    cells: dict[tuple[str, str, int], int], changes: list[dict[tuple[str, str, int], int]]
) -> None:
    days = list[Before]()
    for day in ({}, *changes):
        cells = cells | day
        truth = by_age(cells)
        shown = protect(truth, BY_COUNTY, days)
        last, every = (differences(truth, shown, had, BY_COUNTY) for had in (days[-1:], days))
        assert every.cells <= last.cells, "rows that an earlier one told are not withheld"
        assert every.broken >= last.broken - (last.cells - every.cells)
        assert differences(truth, shown, [*days[:1], *days], BY_COUNTY) == every, "the same again tells nothing"
        days.append(Before(shown, truth))


def test_the_oldest_and_the_newest_tell_what_no_neighbours_do() -> None:
    """A and B withhold a small row and another, B a third one too; C shows the other; the third changed."""
    small, other, third, big = ("a", "1", 0), ("a", "1", 1), ("a", "2", 0), ("a", "2", 1)
    one = {small: 3, other: 20, big: 40}
    two = one | {third: 15, big: 41}
    now = two | {third: 16, big: 42}

    def release(cells: dict[tuple[str, str, int], int], *withheld: tuple[str, str, int]) -> Before:
        return Before(by_age({key: count for key, count in cells.items() if key not in withheld}), by_age(cells))

    a, b, c = release(one, small, other), release(two, small, other, third), release(now, small, third)
    assert differences(b.truth, b.shown, [a], BY_COUNTY).broken == 0
    assert differences(c.truth, c.shown, [b], BY_COUNTY).broken == 0
    assert differences(c.truth, c.shown, [a, b], BY_COUNTY).broken == 1
    assert differences(c.truth, protect(c.truth, BY_COUNTY, [a, b]), [a, b], BY_COUNTY).broken == 0


def test_what_a_release_showed_long_ago_hides_nothing_while_it_is_the_same() -> None:
    """The neighbour was shown two releases back and withheld in the last; it is what it was."""
    small, neighbour, third, big = ("a", "1", 0), ("a", "1", 1), ("a", "2", 0), ("a", "2", 1)
    one = by_age({neighbour: 12, big: 40, third: 30})
    two = by_age({small: 3, neighbour: 12, big: 41, third: 31})
    days = [Before(one, one), Before(two.filter(pa.array([False, False, True, True])), two)]
    now = by_age({small: 3, neighbour: 12, big: 42, third: 32})
    naive = protect(now, BY_COUNTY, days[1:])
    assert {row["persons"] for row in naive.to_pylist()} == {32, 42}
    assert differences(now, naive, days, BY_COUNTY).broken == 1
    assert {row["persons"] for row in protect(now, BY_COUNTY, days).to_pylist()} == {42}


def _enough_is_new(cells: dict[tuple[str, str, int], int], before: Before) -> bool:
    """Whether what the day before did not show, or showed otherwise, could hide itself under every total. Where it
    could not, nothing that is withheld can help, and the gate stays closed."""
    told = {(row["county"], row["sex"], row["age"]): row["persons"] for row in before.shown.to_pylist()}
    totals = {county: sum(n for key, n in cells.items() if key[0] == county) for county in "abc"}
    if any(0 < total < K for total in totals.values()):
        return False
    for county in "abc":
        fresh = [n for key, n in cells.items() if key[0] == county and n and told.get(key) != n]
        if any(0 < n < K for n in fresh) and (len(fresh) < 2 or sum(fresh) < K):
            return False
    return True


def test_one_small_cell_takes_the_smallest_other_with_it() -> None:
    shown = protect(by_sex([("a", "1", 8), ("a", "2", 11), ("b", "1", 12), ("b", "2", 0)]), BY_SEX)
    assert shown.to_pylist() == [{"county": "b", "sex": "1", "persons": 12}]


def test_nothing_small_withholds_nothing() -> None:
    assert protect(by_sex([("a", "1", 10), ("a", "2", 11), ("b", "2", 0)]), BY_SEX).num_rows == 2


def test_a_row_without_a_number_is_not_shown() -> None:
    assert protect(by_sex([("a", "1", None), ("a", "2", -3), ("b", "1", 30)]), BY_SEX).to_pylist() == [
        {"county": "b", "sex": "1", "persons": 30}
    ]


def test_a_small_cell_takes_a_neighbour_of_its_own_county_with_it() -> None:
    cells = {("a", "1", 0): 8, ("a", "2", 0): 40, ("a", "2", 1): 50, ("b", "1", 0): 11, ("b", "2", 0): 12}
    shown = protect(by_age(cells), BY_COUNTY).to_pylist()
    assert [(row["county"], row["sex"], row["age"]) for row in shown] == [("a", "2", 1), ("b", "1", 0), ("b", "2", 0)]


def test_what_yesterday_showed_does_not_hide_what_is_new_today() -> None:
    """The smallest neighbour was shown yesterday: whoever kept it would have the new cell by subtraction."""
    yesterday = {("a", "1", 0): 20, ("a", "2", 0): 30, ("a", "2", 1): 40}
    truth = by_age(yesterday)
    before = Before(protect(truth, BY_COUNTY), truth)
    today = by_age(yesterday | {("a", "1", 1): 3, ("a", "2", 1): 43})
    naive = protect(today, BY_COUNTY)
    assert {row["persons"] for row in naive.to_pylist()} == {30, 43}
    assert differences(today, naive, [before], BY_COUNTY).broken == 1
    shown = protect(today, BY_COUNTY, [before])
    assert {row["persons"] for row in shown.to_pylist()} == {20, 30}
    assert differences(today, shown, [before], BY_COUNTY).broken == 0


def test_what_cannot_be_hidden_is_told() -> None:
    """All neighbours are as they were yesterday: nothing that is withheld today keeps the new cell from following."""
    yesterday = {("a", "1", 0): 20, ("a", "2", 0): 30}
    before = Before(by_age(yesterday), by_age(yesterday))
    today = by_age(yesterday | {("a", "1", 1): 3})
    assert differences(today, protect(today, BY_COUNTY, [before]), [before], BY_COUNTY).broken == 1


def test_a_neighbour_stays_withheld_while_it_is_the_same() -> None:
    cells = {("a", "1", 0): 4, ("a", "1", 1): 15, ("a", "2", 0): 30}
    truth = by_age(cells)
    before = Before(protect(truth, BY_COUNTY), truth)
    later = by_age(cells | {("a", "2", 1): 9})  # two small cells now: they would hide each other
    assert [row["persons"] for row in protect(later, BY_COUNTY).to_pylist()] == [15, 30]
    assert differences(later, protect(later, BY_COUNTY), [before], BY_COUNTY).broken == 1
    assert [row["persons"] for row in protect(later, BY_COUNTY, [before]).to_pylist()] == [30]


def test_a_county_too_small_for_a_total_of_its_own_takes_another_with_it() -> None:
    """Three persons live in county c; the totals of a and b would tell of them."""
    cells = {("a", "1", 0): 40, ("a", "2", 0): 50, ("b", "1", 0): 12, ("b", "2", 0): 13, ("c", "1", 0): 3}
    shown = protect(by_age(cells), BY_COUNTY)
    assert {row["persons"] for row in shown.to_pylist()} == {40, 50, 13}
    assert bounds(by_age(cells), shown, BY_COUNTY).broken == 0


states = st.tuples(*[st.integers(0, 40) for _ in range(4)], st.integers(0, 60))


@settings(max_examples=draws(60), deadline=None)
@given(rows=st.lists(states, max_size=5))
def test_no_group_follows_from_the_counts_that_are_shown(rows: list[tuple[int, int, int, int, int]]) -> None:
    truth = of_cases(rows)
    shown = protect(truth, CASES)
    attack = bounds(truth, shown, CASES)
    assert attack.broken == 0
    whole = {row["county"]: row for row in truth.to_pylist()}
    for row in shown.to_pylist():
        true = whole[row["county"]]
        assert all(row[name] in (None, true[name]) for name in row)
        assert (row["rate"] is None) == (row["finished"] is None)
        groups = [true["on_time"], true["finished"] - true["on_time"], true["cases"] - true["repeated"]]
        groups += [true["repeated"], true["overdue"] - groups[1], true["cases"] - true["on_time"] - true["overdue"]]
        if not any(0 < n < K for n in groups):
            assert row == true


def emptied(table: pa.Table, county: str, *names: str) -> pa.Table:
    """The table without some counts of a row."""
    rows = [row | dict.fromkeys(names) if row["county"] == county else row for row in table.to_pylist()]
    return pa.Table.from_pylist(rows, table.schema)


def test_counts_that_three_releases_withhold_in_turn_are_put_together() -> None:
    """Two of the row are late. The first release withholds how many are finished, the second the whole row, the third
    how many of them in time. Nobody learns it from one of them, or from two that follow each other."""
    row = (20, 2, 15, 20, 0)
    truths = [of_cases([row, (20 + day, 20, 20, 20, 0)]) for day in range(3)]
    one = Before(emptied(truths[0], "0", "finished", "rate"), truths[0])
    two = Before(truths[1].slice(1), truths[1])
    now, three = truths[2], emptied(truths[2], "0", "on_time")
    for before in ([], [two]):
        assert bounds(now, three, CASES).broken == differences(now, three, before, CASES).broken == 0
    found = differences(now, three, [one, two], CASES)
    assert found.broken == 1 and found.narrowest == 1, "finished less on time, as the first and the third tell"
    shown = protect(now, CASES, [one, two])
    assert protect(now, CASES).to_pylist()[0]["on_time"] is None, "the smallest, if nobody had told it"
    assert shown.to_pylist()[0]["finished"] is None and differences(now, shown, [one, two], CASES).broken == 0
    changed = Before(emptied(of_cases([(21, 2, 15, 20, 0)]), "0", "finished", "rate"), of_cases([(21, 2, 15, 20, 0)]))
    assert differences(now, three, [changed, two], CASES).broken == 0, "of another row it tells nothing"
    older = Before(*(table.drop_columns(["finished", "on_time"]) for table in (one.shown, one.truth)))
    assert differences(now, three, [older, two], CASES).broken == 0, "a product that had no such counts"


@settings(max_examples=40, deadline=None)
@given(days=st.lists(st.dictionaries(st.integers(0, 3), states, min_size=1), min_size=1, max_size=4))
def test_no_group_follows_from_the_counts_that_all_releases_show(
    days: list[dict[int, tuple[int, int, int, int, int]]],
) -> None:
    rows, before = {number: (0, 0, 0, 0, 0) for number in range(4)}, list[Before]()
    for day in days:
        rows |= day
        truth = of_cases(list(rows.values()))
        shown = protect(truth, CASES, before)
        alone, all_of_them = bounds(truth, shown, CASES), differences(truth, shown, before, CASES)
        if differences(truth, shown, before, ROWS_ONLY).broken == 0:
            assert all_of_them.broken == 0
        assert alone.broken == 0
        before.append(Before(shown, truth))


def test_as_few_counts_are_withheld_as_can_be() -> None:
    """Two of forty are finished late: the count that says so follows from three others, and one of them is enough."""
    shown = protect(of_cases([(20, 2, 0, 20, 0), (20, 20, 20, 20, 0)]), CASES).to_pylist()
    assert shown[0]["overdue"] is None or shown[0]["finished"] is None
    assert sum(value is None for value in shown[0].values()) <= 3
    assert None not in shown[1].values()


def test_the_attack_finds_what_a_count_tells() -> None:
    truth = of_cases([(30, 1, 0, 15, 0)])
    assert bounds(truth, truth, CASES).broken > 0


def test_a_row_in_which_everybody_is_the_same_tells_nothing_else() -> None:
    diverse = STATES.model_copy(update={"insensitive": None, "closeness": 1.0})
    anonymity = CASES.model_copy(update={"breakdowns": [diverse], "rates": {}})
    (row,) = protect(of_cases([(30, 0, 0, 0, 0)]), anonymity).to_pylist()
    assert (row["cases"], row["finished"], row["on_time"], row["overdue"]) == (30, None, None, None)


def test_a_row_far_from_the_table_is_not_told() -> None:
    near = STATES.model_copy(update={"insensitive": None, "closeness": 0.3})
    anonymity = CASES.model_copy(update={"breakdowns": [near], "rates": {}})
    first, second = protect(of_cases([(200, 200, 0, 0, 0), (0, 0, 15, 15, 0)]), anonymity).to_pylist()
    assert first["finished"] == 400
    assert (second["cases"], second["finished"]) == (30, None)


def test_both_are_asked_unless_a_contract_says_why_not() -> None:
    sensitive = Breakdown(groups=STATES.groups, counts=STATES.counts)
    alike, far = of_cases([(30, 0, 0, 0, 0)]), of_cases([(400, 400, 0, 0, 0), (0, 0, 15, 15, 0)])
    for table in (alike, far):
        for breakdown, told in ((sensitive, None), (STATES, table["finished"][-1].as_py())):
            anonymity = CASES.model_copy(update={"breakdowns": [breakdown], "rates": {}})
            assert protect(table, anonymity).to_pylist()[-1]["finished"] == told


def test_counts_that_contradict_each_other_are_withheld() -> None:
    wrong = of_cases([(20, 20, 20, 20, 0)]).set_column(2, "finished", pa.array([90], pa.int64()))
    assert protect(wrong, CASES).to_pylist()[0]["finished"] is None


def test_rows_everybody_knows_stay_without_figures() -> None:
    only = {"column": "unit", "values": ["%"]}
    anonymity = Anonymity(k=K, count="persons", quasi=["county"], only=only, emptied=True)
    table = pa.table({"county": list("abcd"), "unit": ["%", "%", "%", "台"], "persons": [3, 12, 40, 2]})
    shown = protect(table, anonymity).to_pylist()
    assert [row["persons"] for row in shown] == [None, None, 40, 2]
    assert measured(protect(table, anonymity), anonymity).violations == 0
    assert measured(table, anonymity).violations == 1


def test_groups_that_no_counts_determine_are_told() -> None:
    assert determined(STATES)
    assert not determined(Breakdown(groups=["a", "b", "c"], counts={"x": ["a"]}))


@pytest.mark.parametrize(
    ("more", "found"),
    [
        ("'2026-11-01' AS extra", []),  # one value
        ("'county ' || county AS extra", []),  # the name of a quasi identifier
        ("NULL AS extra", []),
        ("county || sex AS extra", ["extra"]),  # says something of everybody in a group
        ("CASE WHEN persons > 20 THEN 'many' ELSE 'few' END AS extra", ["extra"]),
    ],
)
def test_a_column_that_nobody_names_and_that_tells_groups_apart_is_found(more: str, found: list[str]) -> None:
    cells = by_sex([("a", "1", 30), ("a", "2", 12), ("b", "1", 15), ("b", "2", 40)])
    with duckdb.connect() as con:
        con.register("cells", cells)
        assert told(con, f"(SELECT *, {more} FROM cells)", BY_SEX) == found


@pytest.mark.parametrize(
    ("more", "found"),
    [
        ("'village ' || county AS extra", []),
        ("CASE WHEN county = 'c' THEN 'poor' END AS extra", ["extra"]),  # NULL is a value too
        ("CASE WHEN county = 'c' THEN 'ill' ELSE 'well' END AS extra", ["extra"]),
        ("persons * 1.5 AS extra", ["extra"]),  # another figure for each is not its name
        ("persons > 20 AS extra", ["extra"]),
    ],
)
def test_of_groups_that_one_column_tells_apart_only_a_name_is_a_name(more: str, found: list[str]) -> None:
    cells = by_sex([("a", "1", 30), ("b", "1", 12), ("c", "1", 15)])
    by_village = Anonymity(k=K, count="persons", quasi=["county"])
    with duckdb.connect() as con:
        con.register("cells", cells)
        assert told(con, f"(SELECT * EXCLUDE (sex), {more} FROM cells)", by_village) == found


def test_rows_that_share_their_quasi_identifiers_are_told_apart_by_one_that_is_missing() -> None:
    cells = by_age({("a", "1", 30): 20, ("a", "1", 31): 20, ("b", "2", 30): 20})
    with duckdb.connect() as con:
        con.register("cells", cells)
        assert told(con, "cells", BY_SEX) == ["age"]


def told(con: duckdb.DuckDBPyConnection, relation: str, anonymity: Anonymity) -> list[str]:
    described = con.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()
    return separating(con, relation, {name: type_ for name, type_, *_ in described}, anonymity)
