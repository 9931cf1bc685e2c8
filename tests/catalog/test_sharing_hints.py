"""Predicate hints of Delta Sharing: no file goes that has a row for which the predicate is true."""

import json
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog.delivery.extracts import Extract, Tables
from catalog.delivery.sharing.hints import matching
from pipelines.codecs.sql import identifier, literal
from tests.draws import draws
from tests.lake.small_tables import put_query

KINDS = {"day": "date", "town": "string", "persons": "int", "cases": "long", "note": "string"}
OPERATIONS = {"equal": "=", "lessThan": "<", "lessThanOrEqual": "<=", "greaterThan": ">", "greaterThanOrEqual": ">="}
VALUES = {
    "date": st.dates(date(2026, 11, 25), date(2026, 11, 29)).map(str),
    "string": st.sampled_from(["", "a", "b", "孙岗镇", "流波䃥镇", "x" * 40, "\U00020bb7"]),
    "int": st.integers(-3, 3).map(str),
    "long": st.integers(-3, 3).map(str),
}
Predicate = dict[str, Any]


def table(rows: list[dict[str, str | None]], folder: Path) -> Extract:
    """A table by day, with the statistics that a release has."""
    types = {"date": "DATE", "string": "VARCHAR", "int": "INTEGER", "long": "BIGINT"}
    lines = (
        ", ".join(
            f"CAST({'NULL' if row[name] is None else literal(row[name])} AS {types[kind]}) AS {identifier(name)}"
            for name, kind in KINDS.items()
        )
        for row in rows
    )
    put_query(folder / "t", " UNION ALL ".join(f"SELECT {line}" for line in lines), partition_by=("day",))
    return Tables(lambda _: folder / "t").get("open/t", 0)


def leaf(name: str, op: str, value: str, swapped: bool) -> Predicate:
    found = equal(name, KINDS[name], value, KINDS[name])["children"]
    return {"op": op, "children": found[::-1] if swapped else found}


def equal(name: object, kind: str, value: object, of: str) -> Predicate:
    sides = [{"op": "column", "name": name, "valueType": kind}, {"op": "literal", "value": value, "valueType": of}]
    return {"op": "equal", "children": sides}


@st.composite
def leaves(draw: st.DrawFn) -> Predicate:
    name = draw(st.sampled_from(list(KINDS)))
    if draw(st.booleans()) and draw(st.booleans()):
        return {"op": "isNull", "children": [{"op": "column", "name": name, "valueType": KINDS[name]}]}
    return leaf(name, draw(st.sampled_from(list(OPERATIONS))), draw(VALUES[KINDS[name]]), draw(st.booleans()))


def _nested(inner: st.SearchStrategy[Predicate]) -> st.SearchStrategy[Predicate]:
    many = st.tuples(st.sampled_from(["and", "or"]), st.lists(inner, min_size=1, max_size=3))
    return many.map(lambda one: {"op": one[0], "children": one[1]}) | inner.map(
        lambda one: {"op": "not", "children": [one]}
    )


predicates = st.recursive(leaves(), _nested, max_leaves=6)


@st.composite
def rows(draw: st.DrawFn) -> list[dict[str, str | None]]:
    one = {
        name: VALUES[kind] if name == "day" else st.none() | VALUES[kind] for name, kind in KINDS.items()
    }  # a partition has a value
    return draw(st.lists(st.fixed_dictionaries(one), min_size=1, max_size=12))


def sql(predicate: Predicate) -> str:
    op, children = predicate["op"], predicate.get("children", [])
    match op:
        case "column":
            return identifier(predicate["name"])
        case "literal":
            kind = {"date": "DATE", "string": "VARCHAR", "int": "INTEGER", "long": "BIGINT"}[predicate["valueType"]]
            return f"CAST({literal(predicate['value'])} AS {kind})"
        case "isNull":
            return f"({sql(children[0])} IS NULL)"
        case "not":
            return f"(NOT {sql(children[0])})"
        case "and" | "or":
            return f"({f' {op} '.join(map(sql, children))})"
        case _:
            return f"({sql(children[0])} {OPERATIONS[op]} {sql(children[1])})"


@given(told=rows(), predicate=predicates)
@settings(max_examples=draws(60), deadline=None)
def test_no_file_goes_that_has_what_is_looked_for(told: list[dict[str, str | None]], predicate: Predicate) -> None:
    with TemporaryDirectory() as folder:
        extract = table(told, Path(folder))
        kept = {part.name for part in matching(extract, json.dumps(predicate))}
        for part in extract.parts:
            read = f"read_parquet({literal(str(extract.folder / part.name))}, hive_partitioning = true)"
            days = f"SELECT * REPLACE (CAST(day AS DATE) AS day) FROM {read}"
            (found,) = duckdb.sql(f"SELECT count(*) FROM ({days}) WHERE {sql(predicate)}").fetchall()[0]
            assert part.name in kept or found == 0


ROWS = [
    {"day": f"2026-11-{25 + number}", "town": town, "persons": str(number), "cases": str(-number), "note": None}
    for number, town in enumerate(("a", "b", "c", "d"))
]


@pytest.mark.parametrize(
    ("predicate", "kept"),
    [
        (leaf("day", "equal", "2026-11-26", False), [1]),
        (leaf("day", "lessThan", "2026-11-26", True), [2, 3]),
        (leaf("town", "greaterThanOrEqual", "c", False), [2, 3]),
        ({"op": "not", "children": [leaf("persons", "lessThanOrEqual", "1", False)]}, [2, 3]),
        ({"op": "and", "children": [leaf("persons", "equal", "1", False), leaf("town", "equal", "c", False)]}, []),
        ({"op": "or", "children": [leaf("persons", "equal", "1", False), leaf("town", "equal", "c", False)]}, [1, 2]),
        ({"op": "isNull", "children": [{"op": "column", "name": "town", "valueType": "string"}]}, []),
        (leaf("cases", "equal", "7", False), []),
    ],
)
def test_files_that_cannot_have_it_go(tmp_path: Path, predicate: Predicate, kept: list[int]) -> None:
    extract = table(ROWS, tmp_path)
    days = [f"2026-11-{25 + number}" for number in kept]
    for hint in (predicate, json.dumps(predicate)):
        assert sorted(part.partition["day"] for part in matching(extract, hint)) == days


DEEP: Predicate = leaf("day", "equal", "2026-01-01", False)
for _ in range(1_200):
    DEEP = {"op": "not", "children": [DEEP]}


@pytest.mark.parametrize(
    "hint",
    [
        None,
        7,
        "",
        "{",
        "[" * 100_000,
        [],
        {},
        {"op": "between", "children": []},
        {"op": "and"},
        {"op": "and", "children": []},
        {"op": "and", "children": 7},
        {"op": "not", "children": [1, 2]},
        {"op": "isNull", "children": ["town"]},
        {"op": "equal", "children": [{"op": "column", "name": "town"}, {"op": "column", "name": "note"}]},
        leaf("day", "equal", "2026-1-1", False),
        leaf("persons", "equal", "1_000", False),
        leaf("persons", "equal", "nine", False),
        equal("hidden", "int", "99", "int"),
        equal("day", "string", "x", "string"),
        equal(["day"], "date", "2020-01-01", "date"),
        equal("town", "string", None, "string"),
        equal("persons", "int", "99", "double"),
        equal("note", "string", "x", "string"),
        {"op": "or", "children": [leaf("cases", "equal", "99", False)] * 600},
        DEEP,
    ],
)
def test_what_is_not_understood_keeps_every_file(tmp_path: Path, hint: object) -> None:
    extract = table(ROWS, tmp_path)
    assert matching(extract, hint) == extract.parts


def test_one_that_is_not_understood_leaves_the_others(tmp_path: Path) -> None:
    strange = {"op": "like", "children": []}
    predicate = {"op": "and", "children": [strange, leaf("town", "equal", "b", False)]}
    assert [part.partition["day"] for part in matching(table(ROWS, tmp_path), predicate)] == ["2026-11-26"]
