"""Rules about two datasets: against a model in plain Python, against Great Expectations, and what they give away."""

import math
import statistics
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.contracts.rules import Context, Rule, rules
from pipelines.evidence.rules import measure
from pipelines.evidence.suite import agreement, second_opinion
from tests.city import seed_from_clock
from tests.draws import draws
from tests.memory import connection

TODAY = date(2026, 11, 23)
Row = tuple[str | None, str | None, str | None, date | None, float | None]
"""Two parts of a key, a kind, a day, an amount."""
CONTEXT = Context({}, TODAY, "ours", models={"theirs": "theirs"})
KEYS: dict[str, Any] = {"of": "theirs", "their": ["k", "l"]}
EXPECTED = {**KEYS, "columns": ["k", "l"], "where": {"kind": ["a", "it's"]}, "since": "day", "days": 3}

keys = st.sampled_from(["1", "2", "3", "{batch}", None])
rows = st.tuples(
    keys,
    st.sampled_from(["x", "y:z", None]),
    st.sampled_from(["a", "b", "it's", None]),
    st.sampled_from([None, *(TODAY - timedelta(days=days) for days in (-1, 0, 2, 3, 4))]),
    st.sampled_from([None, 0.0, 0.1, 0.2, 1.5, -2.0, 1e6]),
)
tables = st.lists(rows, max_size=8)


def rule(verb: str, **arguments: Any) -> Rule:
    bound = rules[verb].bind(arguments)
    return Rule(verb, verb, tuple(rules[verb].columns(bound)), bound)


def keyed(table: list[Row]) -> list[Row]:
    return [row for row in table if None not in row[:2]]


def old(row: Row) -> bool:
    return row[3] is None or row[3] <= TODAY - timedelta(days=3)


def missing(ours: list[Row], theirs: list[Row]) -> tuple[int, int]:
    expected = {row[:2] for row in keyed(theirs) if row[2] in ("a", "it's") and old(row)}
    return len(expected), len(expected - {row[:2] for row in keyed(ours)})


def ended(ours: list[Row], theirs: list[Row]) -> tuple[int, int]:
    expected = {row[:2] for row in keyed(theirs) if row[3] is None or row[3] > TODAY}
    return len(expected), len(expected - {row[:2] for row in keyed(ours) if row[2] == "b"})


def dangling(ours: list[Row], theirs: list[Row]) -> tuple[int, int]:
    known = {row[:2] for row in keyed(theirs) if row[2] == "a"}
    asked = [row for row in keyed(ours) if old(row)]
    return len(asked), sum(row[:2] not in known for row in asked)


def apart(ours: list[Row], theirs: list[Row]) -> tuple[int, int]:
    looked = failed = 0
    for row in keyed(ours):
        details = [other[4] for other in keyed(theirs) if other[:2] == row[:2] and other[4] is not None]
        if row[4] is not None and details:
            looked += 1
            failed += abs(row[4] - sum(details)) > max(0.15, 0.01 * abs(row[4]))
    return looked, failed


Model = Callable[[list[Row], list[Row]], tuple[int, int]]
CASES: list[tuple[Rule, Model]] = [
    (rule("covers", **EXPECTED), missing),
    (rule("covers", **KEYS, columns=["k", "l"], among={"kind": ["b"]}, until="day", show=["amount"]), ended),
    (rule("refers_to", **KEYS, columns=["k", "l"], where={"kind": ["a"]}, since="day", days=3), dangling),
]
TOTALS = rule("totals", **KEYS, column="amount", by=["k", "l"], amount="amount", within=0.15, share=0.01)


def far(ours: list[Row], logarithmic: bool, by: int | None, season: bool) -> tuple[int, int]:
    groups: dict[Any, list[float]] = {}
    for row in ours:
        if row[4] is not None and (row[4] > 0 or not logarithmic):
            month = row[3].month if season and row[3] else None
            group = (None if by is None else row[by], month)
            groups.setdefault(group, []).append(math.log(row[4]) if logarithmic else row[4])
    looked = failed = 0
    for values in groups.values():
        middle = statistics.median(values)
        spread = 1.4826 * statistics.median(abs(value - middle) for value in values)
        if len(values) >= 10 and spread > 0:
            looked += len(values)
            failed += sum(abs(value - middle) > 3 * spread * (1 + 1e-12) for value in values)
    return looked, failed


OUTLIERS = [
    (rule("near_others", column="amount", deviations=3, fewest=10), (False, None, False)),
    (rule("near_others", column="amount", deviations=3, fewest=10, by=["kind"]), (False, 2, False)),
    (rule("near_others", column="amount", deviations=3, fewest=10, logarithmic=True), (True, None, False)),
    (rule("near_others", column="amount", deviations=3, fewest=10, season="day", show=["k"]), (False, None, True)),
]
measured = st.lists(
    st.tuples(
        keys,
        st.none(),
        st.sampled_from(["a", "b", None]),
        st.sampled_from([None, TODAY, TODAY - timedelta(days=31)]),
        st.one_of(st.none(), st.integers(-3, 30).map(float), st.sampled_from([500.0, 0.5])),
    ),
    min_size=8,
    max_size=45,
)


def filled(ours: list[Row], theirs: list[Row]) -> duckdb.DuckDBPyConnection:
    con = connection()
    for name, table in (("ours", ours), ("theirs", theirs)):
        con.execute(f"CREATE TABLE {name} (k VARCHAR, l VARCHAR, kind VARCHAR, day DATE, amount DOUBLE)")
        if table:
            con.executemany(f"INSERT INTO {name} VALUES (?, ?, ?, ?, ?)", table)
    return con


def one_a_key(table: list[Row]) -> list[Row]:
    return list({row[:2]: row for row in table}.values())


def test_every_verb_about_two_datasets_is_tried() -> None:
    tried = {case.verb for case, _ in CASES} | {TOTALS.verb, OUTLIERS[0][0].verb}
    assert tried == {verb for verb, found in rules.items() if found.about.scope == "across"}


@settings(max_examples=draws(50), deadline=None)
@given(ours=tables, theirs=tables)
def test_they_count_what_they_mean(ours: list[Row], theirs: list[Row]) -> None:
    con = filled(ours, theirs)
    for case, model in CASES:
        (found,) = measure(con, [case], CONTEXT)
        assert (found.evaluated, found.failed) == model(ours, theirs), case
        which = con.execute(f"SELECT count(*) FROM ({case.sql(CONTEXT)}) WHERE NOT _good").fetchall()
        assert which == [(found.failed,)]
    summaries = one_a_key(ours)
    (found,) = measure(filled(summaries, theirs), [TOTALS], CONTEXT)
    assert (found.evaluated, found.failed) == apart(summaries, theirs)


@settings(max_examples=draws(12), deadline=None)
@given(ours=tables, theirs=tables)
def test_the_second_opinion_agrees(ours: list[Row], theirs: list[Row]) -> None:
    con = filled(one_a_key(ours), theirs)
    for case in (*(case for case, _ in CASES), TOTALS):
        results, opinion = measure(con, [case], CONTEXT), second_opinion(con, [case], CONTEXT)
        assert agreement(results, opinion.opinions) == [], case


@settings(max_examples=draws(30), deadline=None)
@given(table=measured)
def test_what_is_far_from_its_group_is_named(table: list[Row]) -> None:
    con = filled(table, [])
    for case, about in OUTLIERS:
        (found,) = measure(con, [case], CONTEXT)
        assert (found.evaluated, found.failed) == far(table, *about), case


@settings(max_examples=draws(8), deadline=None)
@given(table=measured)
def test_the_second_opinion_agrees_on_outliers(table: list[Row]) -> None:
    con = filled(table, [])
    for case, _ in OUTLIERS:
        opinion = second_opinion(con, [case], CONTEXT)
        assert agreement(measure(con, [case], CONTEXT), opinion.opinions) == [], case


def test_an_outlier_is_explained_by_its_group() -> None:
    rows: list[Row] = [(str(n), None, "a", None, float(n)) for n in range(1, 20)]
    case = rule("near_others", column="amount", by=["kind"], show=["k"])
    con = filled([*rows, ("x", None, "a", None, 900.0)], [])
    found = con.execute(case.sql(replace(CONTEXT, relation="ours")).replace(">= 30", ">= 10") + " WHERE NOT _good")
    assert [column[0] for column in found.description or ()][:6] == [
        *("k", "kind", "amount", "amount_median", "amount_low", "amount_high"),
    ]
    ((key, _, amount, median, low, high, _),) = found.fetchall()
    assert (key, amount, median) == ("x", 900.0, 10.5) and high - median == pytest.approx(8 * 1.4826 * 5)
    assert low == pytest.approx(2 * median - high)


@pytest.mark.parametrize(("tolerance", "failed"), [(0, 3), (2, 3), (3, 0), (0.29, 3), (0.3, 0)])
def test_so_many_or_such_a_share_is_tolerated(tolerance: float, failed: int) -> None:
    con = filled(
        [(str(n), "x", "a", None, None) for n in range(7)], [(str(n), "x", "a", None, None) for n in range(10)]
    )
    judged = [rule("covers", **KEYS, columns=["k", "l"], tolerance=tolerance)]
    assert measure(con, judged, CONTEXT)[0].failed == failed
    assert agreement(measure(con, judged, CONTEXT), second_opinion(con, judged, CONTEXT).opinions) == []


def test_a_mistake_of_ours_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    from pipelines.contracts.rules import across

    con = filled([("1", "x", "a", None, None)], [("2", "x", "a", None, None)])
    judged = [rule("covers", **EXPECTED)]
    assert agreement(measure(con, judged, CONTEXT), second_opinion(con, judged, CONTEXT).opinions) == []
    monkeypatch.setattr(across, "_same", lambda alias, columns: "true")
    found = agreement(measure(con, judged, CONTEXT), second_opinion(con, judged, CONTEXT).opinions)
    assert [(one.ours, one.theirs) for one in found] == [(0, 1)]


def test_the_second_opinion_agrees_on_one_large_group() -> None:
    seed = seed_from_clock()
    print("seed", seed)
    con = filled([], [])
    con.execute(
        "INSERT INTO ours SELECT i, NULL, CASE WHEN i % 1000 = 0 THEN 'b' ELSE 'a' END, NULL, "
        f"exp(hash(i, {seed}) % 1000000 / 100000) FROM range(50000) t(i)"
    )
    case = rule("near_others", column="amount", by=["kind"], deviations=3, fewest=50)
    results = measure(con, [case], CONTEXT)
    assert results[0].evaluated == 50000 and results[0].failed > 0
    assert agreement(results, second_opinion(con, [case], CONTEXT).opinions) == []
