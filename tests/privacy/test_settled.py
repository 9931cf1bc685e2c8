"""Nobody who has two releases of an open table can tell from their difference of fewer than k."""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from random import Random
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.contracts.forms.products import Anonymity, Breakdown, OnlyWhere
from pipelines.contracts.load import load
from pipelines.privacy.anonymity import Before, beside_columns, protect, unsaid_periods
from pipelines.privacy.attack import bounds, moves
from pipelines.privacy.breakdowns import equations
from pipelines.privacy.periods import is_over
from pipelines.privacy.settled import Settling
from pipelines.settings import REPOSITORY
from tests.draws import draws

K = 10
DAY = date(2026, 11, 28)
OPEN = {
    name: product.form.anonymity
    for name, product in load(REPOSITORY / "data_contracts").products.items()
    if product.channel == "open" and product.form.anonymity is not None
}
BY_MONTH = Anonymity(
    k=K,
    count="cases",
    quasi=["office", "month"],
    period="month",
    breakdowns=[
        Breakdown(groups=["finished", "running"], counts={"finished": ["finished"]}, insensitive="not of who asked")
    ],
)
Row = tuple[str, str, int, int]
SEPTEMBER: list[Row] = [("a", "2026-09", 60, 30), ("b", "2026-09", 80, 40)]
OCTOBER: list[Row] = [("a", "2026-10", 50, 20), ("b", "2026-10", 70, 30)]


def by_month(rows: Sequence[Row]) -> pa.Table:
    names = {"office": pa.string(), "month": pa.string(), "cases": pa.int64(), "finished": pa.int64()}
    return pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows], pa.schema(names))


def released(anonymity: Anonymity, days: Sequence[pa.Table], first: date = DAY) -> list[Before]:
    """What is released on consecutive days of these whole tables."""
    settling, found = Settling(anonymity), list[Before]()
    for number, truth in enumerate(days):
        day = first + timedelta(days=number)
        cut = settling.next(truth, day)
        shown = protect(cut, anonymity, found)
        found.append(settling.released(shown, truth, day))
        assert found[-1].truth.equals(cut), "what a release was cut from is found again from what it showed"
    return found


def unsettled(anonymity: Anonymity, days: Sequence[pa.Table]) -> list[Before]:
    """What was released before counts waited."""
    found = list[Before]()
    for truth in days:
        found.append(Before(protect(truth, anonymity, found), truth))
    return found


def told(releases: Sequence[Before], anonymity: Anonymity) -> int:
    """In how many rows any of these releases tells of fewer than k to somebody who has one before it."""
    return sum(moves(one.shown, releases[:number], anonymity) for number, one in enumerate(releases))


def rows(table: pa.Table) -> list[Row]:
    return [tuple(row.values()) for row in table.sort_by([("month", "ascending"), ("office", "ascending")]).to_pylist()]


def test_one_more_case_between_two_days_is_told_no_more() -> None:
    november: list[Row] = [("a", "2026-11", 40, 20), ("b", "2026-11", 50, 20)]
    more = [("a", "2026-11", 41, 20), *november[1:]]
    days = [by_month([*OCTOBER, *november]), by_month([*OCTOBER, *more])]
    assert told(unsettled(BY_MONTH, days), BY_MONTH) == 1
    today, tomorrow = released(BY_MONTH, days)
    assert rows(today.shown) == rows(tomorrow.shown) == OCTOBER


def test_what_a_total_grows_by_tells_no_small_row_of_the_new_month() -> None:
    """Rows of the month before that hide with a small one of it hide nothing of this month: they stay as they are, so
    whoever has the totals of both days has that of the month."""
    september, october = (
        [(office, month, n, 0) for office, n in zip("abcd", counts, strict=True)]
        for month, counts in (("2026-09", (60, 80, 3, 12)), ("2026-10", (50, 70, 4, 30)))
    )
    before, after = released(BY_MONTH, [by_month(september), by_month([*september, *october])])
    assert before.shown.num_rows == 2
    shown = [cases for _, month, cases, _ in rows(after.shown) if month == "2026-10"]
    assert len(shown) == 2 and sum(cases for *_, cases, _ in october) - sum(shown) >= K
    hidden = {("c", "2026-09"), ("d", "2026-09"), ("c", "2026-10")}
    alone = by_month([row for row in [*september, *october] if row[:2] not in hidden])
    assert bounds(after.truth, alone, BY_MONTH).broken, "the attack knows what the month grew by"


def test_a_case_that_is_finished_after_its_month_waits() -> None:
    later = [("a", "2026-10", 50, 21), OCTOBER[1]]
    days = [by_month(OCTOBER), by_month(later)]
    assert told(unsettled(BY_MONTH, days), BY_MONTH) == 1
    assert rows(released(BY_MONTH, days)[-1].shown) == OCTOBER


def test_a_row_changes_once_every_group_of_it_moved_by_k() -> None:
    slowly = [[("a", "2026-10", 50, 20 + n), OCTOBER[1]] for n in (0, 5, 9, 10)]
    found = released(BY_MONTH, list(map(by_month, slowly)))
    assert [rows(one.shown)[0][3] for one in found] == [20, 20, 20, 30]


def test_no_release_of_old_is_come_near_either() -> None:
    back = [[("a", "2026-10", n, 20), OCTOBER[1]] for n in (50, 60, 49, 50, 39)]
    found = released(BY_MONTH, list(map(by_month, back)))
    assert [rows(one.shown)[0][2] for one in found] == [50, 60, 60, 50, 39]


def test_a_month_comes_when_it_is_over() -> None:
    days = [by_month([*SEPTEMBER, *OCTOBER])] * 2
    before, after = released(BY_MONTH, days, date(2026, 10, 31))
    assert rows(before.shown) == SEPTEMBER
    assert rows(after.shown) == [*SEPTEMBER, *OCTOBER]


def test_a_row_that_appears_or_goes_in_a_month_that_was_told_of() -> None:
    three = [*OCTOBER, ("c", "2026-10", 30, 15)]
    few, many = [*OCTOBER, ("c", "2026-10", 4, 2)], [*OCTOBER, ("c", "2026-10", 13, 2)]
    assert rows(released(BY_MONTH, [by_month(OCTOBER), by_month(three)])[-1].shown) == three
    still = [OCTOBER[1]]  # the office a hides it
    assert [rows(one.shown) for one in released(BY_MONTH, [by_month(few), by_month(many)])] == [still, still]
    assert rows(released(BY_MONTH, [by_month(three), by_month(OCTOBER)])[-1].shown) == OCTOBER


def test_what_was_released_by_another_rule_is_what_comes_after_is_held_against() -> None:
    november: list[Row] = [("a", "2026-11", 40, 20), ("b", "2026-11", 50, 20)]
    old = unsettled(BY_MONTH, [by_month([*OCTOBER, *november])])
    settling = Settling(BY_MONTH)
    before = settling.released(old[0].shown, old[0].truth, DAY)
    assert rows(before.truth) == [*OCTOBER, *november]
    over = settling.next(by_month([*OCTOBER, ("a", "2026-11", 41, 20), november[1]]), date(2026, 12, 1))
    assert rows(over) == [*OCTOBER, *november]


def test_releases_that_are_gone_leave_what_was_shown() -> None:
    days = [by_month(OCTOBER), by_month([("a", "2026-10", 55, 20), OCTOBER[1]])]
    _, second = released(BY_MONTH, days)
    settling = Settling(BY_MONTH)
    settling.released(second.shown, days[1], DAY)
    assert rows(settling.next(by_month([("a", "2026-10", 56, 20), OCTOBER[1]]), DAY)) == OCTOBER


def test_rows_in_which_a_count_stands_again_wait_with_it() -> None:
    form = Anonymity(
        k=K,
        count="whole",
        quasi=["kind", "county"],
        only=OnlyWhere(column="kind", values=["share"], alike={"again": "share"}),
        emptied=True,
        breakdowns=[Breakdown(groups=["in", "out"], counts={"part": ["in"]}, insensitive="of nobody")],
    )

    def day(persons: int, air: int) -> pa.Table:
        said = [("share", "x", persons - 30, persons), ("again", "x", persons, None), ("air", "x", air, air)]
        return pa.Table.from_pylist([dict(zip(("kind", "county", "part", "whole"), row, strict=True)) for row in said])

    days = [day(100, 5), day(101, 6)]
    assert told(unsettled(form, days), form) == 2, "the share itself, and where it stands again"
    found = released(form, days)
    assert [row["part"] for row in found[-1].shown.to_pylist()] == [70, 100, 6]
    assert not told(found, form)


@pytest.mark.parametrize(
    ("period", "over"),
    [
        ("2026-10", True),
        ("2026-11", False),
        ("202610", True),
        ("202611", False),
        ("2026Q3", True),
        ("2026Q4", False),
        ("2025", True),
        ("2026", False),
        (date(2026, 11, 27), True),
        (DAY, False),
        ("Oktober", False),
        (None, False),
    ],
)
def test_a_period_is_over(period: object, over: bool) -> None:
    assert is_over(period, DAY) == over


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        (BY_MONTH, []),
        (BY_MONTH.model_copy(update={"period": None}), ["month"]),
        (BY_MONTH.model_copy(update={"period": None, "notPeriods": {"month": "a label"}}), []),
        (BY_MONTH.model_copy(update={"period": "office"}), ["month"]),
    ],
)
def test_a_table_by_period_says_so(form: Anonymity, expected: list[str]) -> None:
    with duckdb.connect() as con:
        con.register("cells", by_month(OCTOBER))
        assert unsaid_periods(con, "cells", form) == expected


def drawn(anonymity: Anonymity, random: Random) -> Iterator[pa.Table]:
    """A table of the columns of an open product as it is on one day after the other, a few people more or less."""
    only, texts = anonymity.only, [name for name in anonymity.quasi if name != anonymity.period]
    made = [[anonymity.count, *breakdown.counts] for breakdown in anonymity.breakdowns]
    cells: list[tuple[dict[str, Any], list[list[int]]]] = []
    for number in range(12):
        key = {name: f"{number % 3 if name in anonymity.within else number}" for name in texts}
        key |= {only.column: only.values[number % len(only.values)]} if only else {}
        for month in ("2026-09", "2026-10", "2026-11") if anonymity.period else ("",):
            size = random.choice((8, 30, 200))
            groups = [[random.randint(0, size) for _ in one.groups] for one in anonymity.breakdowns] or [[size]]
            cells.append(({**key, **({anonymity.period: month} if anonymity.period else {})}, groups))
    while True:
        said = []
        for key, every in cells:
            first = every[0]
            for groups in every[1:]:  # of each breakdown as many as of the first
                groups[0] += max(sum(first) - sum(groups), -groups[0])
                first[0] += sum(groups) - sum(first)
            for groups in every[1:]:
                groups[0] += sum(first) - sum(groups)
            row = {**key, anonymity.count: sum(first)}
            for breakdown, names, groups in zip(anonymity.breakdowns, made, every, strict=False):
                forms = equations(breakdown, names[1:])
                row |= {name: int(form @ groups) for name, form in zip(names, forms, strict=True)}
            said.append(row | {rate: row[name] / max(sum(first), 1) for rate, name in anonymity.rates.items()})
        yield pa.Table.from_pylist(said)
        for _, every in random.sample(cells, len(cells) // 3):
            step = random.choice((1, 1, 1, 15))
            for groups in every:
                groups[random.randrange(len(groups))] += step


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(OPEN))
@settings(max_examples=draws(3), deadline=None)
@given(st.integers(0, 10**9))
def test_no_open_product_tells_of_fewer_than_k_by_any_two_releases(name: str, seed: int) -> None:
    anonymity = OPEN[name]
    days = [table for table, _ in zip(drawn(anonymity, Random(seed)), range(4), strict=False)]
    assert told(unsettled(anonymity, days), anonymity), "what is drawn would be told"
    found = released(anonymity, days)
    assert not told(found, anonymity)
    assert not bounds(found[-1].truth, found[-1].shown, anonymity).broken, "what waits is protected as what is new"


def test_the_products_that_are_drawn_count_beside_the_main_one() -> None:
    assert {name for name, one in OPEN.items() if beside_columns(one)} > {"open/case_month", "open/hotline_month"}
