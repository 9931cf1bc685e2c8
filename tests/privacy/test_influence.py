"""Nothing that flows into a query is missed; the truth is found by running it on other values of one column."""

import random
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import duckdb
import pytest
import sqlglot
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlglot.errors import SqlglotError

from pipelines.privacy.flows import Flow, Relation
from pipelines.privacy.influence import NotUnderstood, read
from tests.city import seed_from_clock
from tests.privacy.drawn_queries import COLUMNS, Drawn
from tests.privacy.influence_cases import REFUSED, UNDERSTOOD

ROWS = 9
ORIGINS = [(table, column) for table in ("t", "u") for column in COLUMNS]
RELATIONS = {
    f"core.{table}": Relation(
        tuple((column, Flow(1 << ORIGINS.index((table, column)))) for column in COLUMNS), 0, frozenset({"id"})
    )
    for table in ("t", "u")
}


@dataclass
class World:
    """A database with both tables, and for each origin schemas in which its values alone are others."""

    con: duckdb.DuckDBPyConnection
    others: Mapping[int, list[str]]
    missed: list[str]
    counted: Counter[str]


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    chance = random.Random(seed_from_clock())
    con = duckdb.connect(config={"threads": 1})
    tables = {table: [_row(chance, at) for at in range(ROWS)] for table in ("t", "u")}
    others: dict[int, list[str]] = {}
    _write(con, "core", tables)
    for bit, (table, column) in enumerate(ORIGINS):
        for turn in range(4):
            changed = {**tables, table: _changed(chance, tables[table], COLUMNS.index(column), turn)}
            _write(con, f"o{bit}_{turn}", changed)
            others.setdefault(bit, []).append(f"o{bit}_{turn}")
    with con:
        yield World(con, others, [], Counter())


def _row(chance: random.Random, at: int) -> list[int | None]:
    return [at, *(chance.choice((None, 0, 1, 2, 3)) for _ in COLUMNS[1:])]


def _changed(chance: random.Random, rows: list[list[int | None]], at: int, turn: int) -> list[list[int | None]]:
    """The same rows with other values in one column: mixed, shifted, drawn anew, or all one."""
    values = [row[at] for row in rows]
    if COLUMNS[at] == "id" and turn > 1:  # a key stays one
        values = [10 * (value or 0) + turn for value in values]
    elif turn == 0:
        chance.shuffle(values)
    elif turn == 1:
        values = [None if value is None else value + 1 for value in values]
    elif turn == 2:
        values = [chance.choice((None, 0, 1, 2, 3)) for _ in values]
    else:
        values = [2 for _ in values]
    return [[*row[:at], value, *row[at + 1 :]] for row, value in zip(rows, values, strict=True)]


def _write(con: duckdb.DuckDBPyConnection, schema: str, tables: Mapping[str, list[list[int | None]]]) -> None:
    con.execute(f"CREATE SCHEMA {schema}")
    for table, rows in tables.items():
        listed = ", ".join(str(tuple(row)).replace("None", "NULL") for row in rows)
        con.execute(f"CREATE TABLE {schema}.{table} AS FROM (VALUES {listed}) v ({', '.join(COLUMNS)})")
        types = ", ".join(f"ALTER {column} TYPE INTEGER" for column in COLUMNS)
        for one in types.split(", "):
            con.execute(f"ALTER TABLE {schema}.{table} {one}")


def judge(world: World, sql: str, exact: bool = False) -> None:
    """Note what the reader missed in a query: an origin whose values change what it said they do not.

    `exact`: count also how often what it said was seen; else nothing is run where nothing can be missed.
    """
    try:
        before = _run(world.con, sql, "core")
    except duckdb.Error:
        world.counted["invalid"] += 1
        return
    try:
        (parsed,) = sqlglot.parse(sql, dialect="duckdb")
        found = read(parsed, RELATIONS.get)
    except (NotUnderstood, SqlglotError):
        world.counted["refused"] += 1
        return
    world.counted["judged"] += 1
    assert len(found.columns) == len(before), sql
    for bit, schemas in world.others.items():
        told = [bool((flow.all | found.rows) >> bit & 1) for _, flow in found.columns]
        rows_told = bool(found.rows >> bit & 1)
        world.counted["told"] += sum(told)
        if all(told) and rows_told and not exact:
            continue
        changed = [False] * len(told)
        for schema in schemas:
            try:
                after = _run(world.con, sql, schema)
            except duckdb.Error:  # a number too large, or several rows where one is asked for
                continue
            if sum(before[0].values()) != sum(after[0].values()) and not rows_told:
                world.missed.append(f"rows by {ORIGINS[bit]}: {sql}")
            changed = [was or one != other for was, one, other in zip(changed, before, after, strict=True)]
        world.counted["changed"] += sum(changed)
        world.missed += [
            f"column {at} by {ORIGINS[bit]}: {sql}"
            for at, (moved, said) in enumerate(zip(changed, told, strict=True))
            if moved and not said
        ]


def _run(con: duckdb.DuckDBPyConnection, sql: str, schema: str) -> list[Counter[str]]:
    """The values of each column of a query, with how often each stands there."""
    result = con.execute(sql.replace("core.", f"{schema}."))
    names, rows = [item[0] for item in result.description], result.fetchall()
    return [Counter(repr(row[at]) for row in rows) for at in range(len(names))]


@pytest.mark.parametrize("sql", UNDERSTOOD)
def test_queries_by_hand(world: World, sql: str) -> None:
    world.missed.clear()
    world.counted.clear()
    judge(world, sql)
    assert world.counted["judged"] == 1
    assert not world.missed


@pytest.mark.parametrize("sql", REFUSED)
def test_what_is_not_understood_is_refused(sql: str) -> None:
    try:
        (parsed,) = sqlglot.parse(sql, dialect="duckdb")
    except (SqlglotError, ValueError):
        return
    with pytest.raises(NotUnderstood):
        read(parsed, RELATIONS.get)


def _judge_drawn(world: World, examples: int, exact: bool = False) -> None:
    """Draw queries until so many were judged, hypothesis making the choices."""
    world.missed.clear()
    world.counted.clear()

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.randoms(use_true_random=True))
    def drawn(chance: random.Random) -> None:
        judge(world, Drawn(chance).query(), exact)
        assert not world.missed, world.missed[0]

    drawn()


@pytest.mark.long
def test_drawn_queries(world: World) -> None:
    _judge_drawn(world, 450)
    assert world.counted["judged"] >= 150
    assert world.counted["refused"] < world.counted["judged"]


@pytest.mark.slow
def test_many_drawn_queries(world: World) -> None:
    _judge_drawn(world, 2_500, exact=True)
    seen, told = world.counted["changed"], world.counted["told"]
    print(f"{world.counted['judged']} queries, {seen} changes seen, {told} told: {seen / told:.2f}")
    assert seen > told / 3  # it does not say everything of everything
