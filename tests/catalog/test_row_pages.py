"""Pages of drawn tables put together are the rows that a plain reading of the table gives, whatever is asked."""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from catalog.delivery.extracts import WHOLE, Extract
from catalog.delivery.rows import cursors, queries
from catalog.delivery.rows.columns import Column, column_of
from catalog.delivery.rows.ordered import Ordered, ordered
from catalog.delivery.rows.pages import Pages
from catalog.delivery.rows.problems import Problem
from catalog.delivery.rows.question import FUNCTIONS, asked, question
from catalog.delivery.views import Views
from catalog.policy.decision import Allowed
from pipelines.codecs.sql import literal
from pipelines.settings import REPOSITORY, Settings

FIELDS = {
    "word": "string",
    "whole": "long",
    "real": "double",
    "money": "decimal(9,2)",
    "day": "date",
    "moment": "timestamp",
    "flag": "boolean",
}
COLUMNS = [column_of({"name": name, "type": kind}) for name, kind in FIELDS.items()]
FIRST = datetime(2026, 1, 1, tzinfo=UTC)

words = st.text("ab\"',. 张%\n", max_size=2)
values: dict[str, st.SearchStrategy[Any]] = {
    "word": words,
    "whole": st.integers(-2, 2) | st.sampled_from([-(2**63), 2**63 - 1]),
    "real": st.sampled_from([0.0, 0.1, -1.5, 1e300, float("inf"), 0.30000000000000004]),
    "money": st.sampled_from([Decimal("0.00"), Decimal("0.05"), Decimal("-9999999.99")]),
    "day": st.integers(0, 2).map(lambda days: date(2026, 2, 28) + timedelta(days)),
    "moment": st.integers(0, 2).map(lambda steps: FIRST + timedelta(microseconds=steps)),
    "flag": st.booleans(),
}
tables = st.lists(st.fixed_dictionaries({name: st.none() | drawn for name, drawn in values.items()}), max_size=25)
names = st.sampled_from(list(FIELDS))
sorts = st.lists(names, unique=True, max_size=3).flatmap(
    lambda chosen: st.tuples(*(st.sampled_from([name, f"-{name}"]) for name in chosen))
)


@st.composite
def filters(draw: st.DrawFn) -> list[tuple[str, str, Any]]:
    found = list[tuple[str, str, Any]]()
    for name in draw(st.lists(names, max_size=2)):
        operator = draw(st.sampled_from(["eq", "ne", "lt", "le", "gt", "ge", "in", "null"]))
        finite = values[name].filter(lambda value: value != float("inf"))
        several = st.lists(finite, min_size=1, max_size=3)
        found.append((name, operator, draw({"in": several, "null": st.booleans()}.get(operator, finite))))
    return found


@dataclass
class Bench:
    """Views and pages of one place; every drawn table is a version of its own."""

    views: Views
    pages: Pages
    versions: Iterator[int]

    def table(self, rows: list[dict[str, Any]]) -> Ordered:
        source = ", ".join(f"({', '.join(_sql(row[column.name], column) for column in COLUMNS)})" for row in rows)
        nulls = ", ".join(f"NULL::{column.sql} AS {column.name}" for column in COLUMNS)
        listed = f" UNION ALL SELECT * FROM (VALUES {source})" if rows else ""
        version = next(self.versions)
        fields = tuple({"name": name, "type": kind} for name, kind in FIELDS.items())
        relation = f"(SELECT * FROM (SELECT {nulls} WHERE false{listed}))"
        extract = Extract("open/drawn", version, WHOLE, Path(), fields, (), (), relation)
        allowed = Allowed("open/drawn", version, tuple(FIELDS), None, None, (), None, None, None)
        return ordered(self.views, allowed, extract)

    def read(self, table: Ordered, query: list[tuple[str, str]], size: int) -> tuple[list[tuple[Any, ...]], int]:
        """All rows of a question in pages of `size`, and how many pages they were."""
        wanted, after, rows = question(asked(query), COLUMNS), None, list[tuple[Any, ...]]()
        for pages in count(1):
            page = self.pages.write(wanted, table, after, size, "parquet", pytest.fail)
            frame = pl.read_parquet(io.BytesIO(page.file.read_bytes()))
            page.drop()
            rows += frame.rows()
            assert page.rows == frame.height <= size and (page.next is None or page.rows == size)
            if page.next is None:
                return rows, pages
            sealed = cursors.seal(bytes(32), 7, wanted.to_json(), page.next)
            after = cursors.unseal(bytes(32), 7, wanted.to_json(), sealed)
        raise AssertionError


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    home = tmp_path_factory.mktemp("pages")
    made = Settings(home, REPOSITORY, 0, 0, f"sqlite:///{home / 'register.db'}")
    made.prepare()
    views = Views(made)
    return Bench(views, Pages(views.folders), count())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(tables, filters() | st.just([]), sorts | st.just(()), st.integers(1, 9), st.sampled_from([0, queries.FEW]))
def test_pages_put_together_are_the_rows(
    bench: Bench,
    rows: list[dict[str, Any]],
    asks: list[tuple[str, str, Any]],
    sort: tuple[str, ...],
    size: int,
    few: int,
) -> None:
    query = [(name, f"{operator}.{_written(value)}") for name, operator, value in asks]
    query += [("sort", ",".join(sort))] if sort else []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(queries, "FEW", few)  # both ways in which a page is cut
        read, pages = bench.read(bench.table(rows), query, size)
    expected = [row for row in rows if all(_holds(row[name], operator, value) for name, operator, value in asks)]
    expected.sort(key=lambda row: [_rank(row[name]) for name in FIELDS])
    for item in reversed(sort):
        name = item.removeprefix("-")
        expected.sort(key=lambda row: (row[name] is not None, _rank(row[name])[1:]), reverse=item != name)
        if item == name:
            expected.sort(key=lambda row: row[name] is None)
    assert read == [tuple(row[name] for name in FIELDS) for row in expected]
    assert pages == max(1, -(-len(expected) // size))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    tables,
    st.lists(names, unique=True, max_size=2),
    st.lists(st.tuples(st.sampled_from(FUNCTIONS), names), unique=True, min_size=1, max_size=3),
    st.integers(1, 4),
    st.booleans(),
)
def test_aggregates_are_those_of_duckdb(
    bench: Bench, rows: list[dict[str, Any]], group: list[str], functions: list[tuple[str, str]], size: int, down: bool
) -> None:
    numeric = ("whole", "real", "money")
    functions = [(how, name) for how, name in functions if name in numeric or how not in ("sum", "avg")]
    functions.sort(key=lambda item: FUNCTIONS.index(item[0]))  # type: ignore[arg-type]
    query = [("group", ",".join(group))] if group else []
    for how in dict.fromkeys(how for how, _ in functions):
        query.append((how, ",".join(name for each, name in functions if each == how)))
    if not query:
        return
    outputs = [*group, *(f"{how}_{name}" for how, name in functions)]
    query.append(("sort", f"{'-' if down else ''}{outputs[-1]}"))
    table = bench.table(rows)
    read, _ = bench.read(table, query, size)
    shown = ", ".join([*group, *(f"{how}({name}) AS {how}_{name}" for how, name in functions)])
    grouped = f" GROUP BY {', '.join(group)}" if group else ""
    order = ", ".join(
        [f"{outputs[-1]} {'DESC' if down else 'ASC'} NULLS LAST", *(f"{name} NULLS LAST" for name in group)]
    )
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        con.execute("SET threads = 1")
        plain = con.execute(
            f"SELECT {shown} FROM read_parquet({literal(str(table.path))}){grouped} ORDER BY {order}"
        ).fetchall()
    assert [tuple(map(_plain, row)) for row in read] == [tuple(map(_plain, row)) for row in plain]


@pytest.mark.parametrize("kind", ["timestamp", "timestamp_ntz"])
@pytest.mark.parametrize(
    "text", ["2026-01-01T08:00:00+08:00", "2026-01-01T00:00:00Z", "2026-01-01 00:00", "2025-12-31T22:30-01:30"]
)
def test_a_moment_is_the_same_however_it_is_written(kind: str, text: str) -> None:
    """Also of a column without a zone, which is in UTC."""
    column = column_of({"name": "moment", "type": kind})
    (wanted,) = question(asked([("moment", f"eq.{text}")]), [column]).filters
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        query = f"SELECT CAST(? AS {column.sql}) = {literal('2026-01-01 00:00:00')}::{column.sql}"
        assert con.execute(query, list(wanted.values)).fetchone() == (True,)


@pytest.mark.parametrize("offset", ["+00:00:00.000001", "-23:59:59.999999", "+08:00:30"])
def test_a_moment_of_any_offset_is_a_value(bench: Bench, offset: str) -> None:
    table = bench.table([{**dict.fromkeys(FIELDS), "moment": FIRST}])
    rows, _ = bench.read(table, [("moment", f"le.2026-01-03T00:00:00{offset}")], 5)
    assert len(rows) == 1


def test_a_sum_beyond_what_can_be_written_is_the_clients_matter(bench: Bench) -> None:
    empty = dict.fromkeys(FIELDS)
    table = bench.table([{**empty, "real": 1e308}, {**empty, "real": 1e308}])
    try:
        ((total,),), _ = bench.read(table, [("sum", "real")], 5)
        assert total == float("inf")
    except Problem as error:
        assert error.rule == "out_of_range"


@given(st.binary(max_size=80) | st.text(max_size=80).map(str.encode), st.integers(0, 2**40))
def test_no_text_is_a_cursor_by_chance(text: bytes, version: int) -> None:
    for cursor in (text.decode("latin-1"), text.hex()):
        with pytest.raises(Problem):
            cursors.unseal(bytes(32), version, "q", cursor)


@given(st.integers(0, 2**40), st.lists(st.none() | st.text(), max_size=4), st.data())
def test_a_changed_cursor_is_none(version: int, place: list[str | None], data: st.DataObject) -> None:
    sealed = cursors.seal(bytes(32), version, ["q", 1], tuple(place))
    assert cursors.version_of(sealed) == version
    assert cursors.unseal(bytes(32), version, ["q", 1], sealed) == tuple(place)
    at = data.draw(st.integers(0, len(sealed) - 1))
    letter = data.draw(st.sampled_from("Aa0-_").filter(lambda other: other != sealed[at]))
    attempts: list[Callable[[], object]] = [
        lambda: cursors.unseal(bytes(32), version, ["q", 1], sealed[:at] + letter + sealed[at + 1 :]),
        lambda: cursors.unseal(bytes(32), version, ["q", 2], sealed),
        lambda: cursors.unseal(bytes(32), version + 1, ["q", 1], sealed),
        lambda: cursors.unseal(b"\x01" * 32, version, ["q", 1], sealed),
        lambda: cursors.unseal(bytes(32), version, ["q", 1], sealed[:-1]),
    ]
    for attempt in attempts:
        with pytest.raises(Problem):
            attempt()


def test_values_are_never_part_of_the_sql(bench: Bench) -> None:
    attack = "x' OR 1=1 --"
    wanted = question(asked([("word", f"eq.{attack}"), ("word", f"in.{attack},b"), ("sort", "-word")]), COLUMNS)
    query = queries.page(wanted, Path("f"), (attack, "3"), 5)
    assert attack not in query.text and query.text.count("?") == len(query.parameters) == 6


def _written(value: Any) -> str:
    if isinstance(value, list):
        return ",".join('"' + _written(item).replace('"', '""') + '"' for item in value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if isinstance(value, date) else str(value)


def _holds(value: Any, operator: str, other: Any) -> bool:
    if operator == "null":
        return (value is None) == other
    if value is None:
        return False
    return {
        "eq": lambda: value == other,
        "ne": lambda: value != other,
        "lt": lambda: value < other,
        "le": lambda: value <= other,
        "gt": lambda: value > other,
        "ge": lambda: value >= other,
        "in": lambda: value in other,
    }[operator]()


def _rank(value: Any) -> tuple[bool, Any]:
    return (value is None, 0 if value is None else value)


def _sql(value: Any, column: Column) -> str:
    text = None if value is None else value.isoformat() if isinstance(value, date) else str(value)
    return f"{literal(text)}::{column.sql}"


def _plain(value: Any) -> Any:
    return float(value) if isinstance(value, Decimal | int) and not isinstance(value, bool) else value
