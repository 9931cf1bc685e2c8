"""The proof that a model gives groups of tied keys from their rows alone: what it accepts holds on random rows, what
would not hold it refuses."""

from collections.abc import Iterator
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.lake.locality import Project
from pipelines.lake.models import Model
from pipelines.lake.proofs import ROWS, Local
from pipelines.lake.query_parts import NotLocal
from pipelines.lake.ties import proved

MODEL, KEPT = "lib_t__m", "int_t__kept"
VIEWS = ("x", "y")
COLUMNS = ("k", "home", "mate", "n")

TIED = {
    "who lives together": "select a.k, b.k as other, b.n from lib.x a join lib.x b on b.home = a.home and b.n > a.n",
    "a mate's home": "with home as (select home, count(*) as n, max(n) as m from lib.x "
    "where home is not null group by home) "
    "select x.k, h.n, h.m from lib.x x join lib.y y on y.mate = x.k left join home h on h.home = y.home",
    "homes of some": "with large as (select home from lib.x group by home having count(*) > 1) "
    "select x.k, x.n from lib.x x join large l on l.home = x.home",
    "either side": "select case s.side when 1 then x.k else x.mate end as k, x.n from lib.x x "
    "cross join (values (1), (2)) s (side) where x.mate is not null",
    "rank": "select k, n, row_number() over (partition by k, home order by n nulls last, mate nulls last) as place "
    "from lib.x",
    "one of two homes": "with p as (select y.k, y.home, y.n, x.home as theirs from lib.y y "
    "left join lib.x x on x.k = y.mate) "
    "select p.k, x.k as other, x.n from p join lib.x x on x.n = p.n and x.home in (p.home, p.theirs)",
    "united": "with t as (select k, mate from lib.x union select mate, k from lib.x) "
    "select t.k, y.n from t join lib.y y on y.k = t.k where t.mate is null or t.mate <> y.k",
    "kept": "select c.k, c.n, e.n as of_mate from lib.int_t__kept c left join lib.int_t__kept e on e.k = c.mate",
    "nothing of the others": "select x.k, y.n from lib.x x left join lib.y y on y.home = x.home where y.home is null",
}
NOT_TIED = {
    "what only looks the same": ("join", "select a.k, b.n from lib.x a join lib.x b on b.n = a.n"),
    "a home of another kind": ("join", "select a.k, b.n from lib.x a join lib.x b on b.n = a.home"),
    "a constant home": ("join", "select a.k, b.n from lib.x a join lib.x b "
                        "on coalesce(b.home, 'none') = coalesce(a.home, 'none')"),
    "either": ("join", "select a.k, b.n from lib.x a join lib.x b on b.home = a.home or b.n = a.n"),
    "no condition": ("join", "select a.k, b.n from lib.x a cross join lib.x b"),
    "itself": ("join", "select a.k, b.n from lib.x a join lib.x b on b.k = b.home"),
    "everybody's number": ("group", "with s as (select n, count(*) as c from lib.x group by n) "
                           "select x.k, s.c from lib.x x join s on s.n = x.n"),
    "all": ("group", "select x.k, s.c from lib.x x cross join (select count(*) as c from lib.x) s"),
    "who has no home": ("window", "select k, count(*) over (partition by home) as c from lib.x"),
    "a sum": ("key", "select max(k) as k, home from lib.x group by home"),
    "perhaps nobody": ("null", "select mate as k, n from lib.x"),
    "full join": ("join", "select a.k, b.n from lib.x a full outer join lib.y b on b.k = a.k"),
    "no view": ("join", "select x.k, u.n from lib.x x join core.u u on u.home = x.home"),
    "first of all": ("part", "select k, n from lib.x order by n nulls last limit 1"),
}  # fmt: skip


def project(sql: str) -> Project:
    """A model over two views that have no rows without a key, and an interim result that is one home's."""
    tied = ("home", "mate")
    kept = (
        "select a.k, a.mate, count(*) as n from lib.x a join lib.y b on b.home = a.home "
        "where a.k is not null group by a.k, a.mate"
    )
    graph = {name: Model(name, "lib", None, None, (), (), f"{name}.sql", "") for name in VIEWS}
    graph[KEPT] = Model(KEPT, "lib", None, None, (), (), "kept.sql", "", "k", (), tied)
    graph[MODEL] = Model(MODEL, "lib", "t", None, (), (), "m.sql", "", "k", (), tied)
    views = {name: f"select k, home, mate, n from core.all_{name} where k is not null" for name in VIEWS}
    return Project(
        graph, {**views, KEPT: kept, MODEL: sql}, {f"core.{name}": COLUMNS for name in ("all_x", "all_y", "u")}
    )


NAMES = st.sampled_from([None, *"abcdefgh"])
ROWS_OF = st.lists(st.tuples(NAMES, st.sampled_from([None, *"HIJKL"]), NAMES, st.integers(0, 2)), max_size=9)


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as con:
        con.execute("CREATE SCHEMA core; CREATE SCHEMA lib")
        yield con


@pytest.mark.long
@pytest.mark.parametrize("name", TIED)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.lists(ROWS_OF, min_size=2, max_size=2), first=st.sets(st.sampled_from("abcdefgh"), max_size=2))
def test_what_is_proved_holds(
    name: str, con: duckdb.DuckDBPyConnection, data: list[list[tuple[Any, ...]]], first: set[str]
) -> None:
    known = project(TIED[name])
    for relation, rows in zip(VIEWS, data, strict=True):
        con.execute(f"CREATE OR REPLACE TABLE core.all_{relation} (k VARCHAR, home VARCHAR, mate VARCHAR, n INT)")
        if rows:
            con.executemany(f"INSERT INTO core.all_{relation} VALUES (?, ?, ?, ?)", rows)
        con.execute(f"CREATE OR REPLACE VIEW lib.{relation} AS {known.sql[relation]}")
    group = reached(con, proved(known, MODEL), first)
    for model in (KEPT, MODEL) if name == "kept" else (MODEL,):
        where = f"k IN ({', '.join(repr(one) for one in group) or 'NULL'})"
        expected = con.execute(f"SELECT * FROM ({known.sql[model]}) WHERE {where} ORDER BY ALL").fetchall()
        proof = proved(known, model)
        for number, one in enumerate(proof.inputs):
            table = f"{ROWS}{number}"
            restricted = where.replace("k IN", f"{one.column} IN")
            rows = f"SELECT {', '.join(proof.columns.get(one, '*'))} FROM {one.relation} WHERE {restricted}"
            con.execute(f"CREATE OR REPLACE TEMP TABLE {table} AS {rows}")
        assert con.execute(f"SELECT * FROM ({proof.sql}) WHERE {where} ORDER BY ALL").fetchall() == expected
        if model == KEPT:
            con.execute(f"CREATE OR REPLACE VIEW lib.{KEPT} AS {known.sql[KEPT]}")


def reached(con: duckdb.DuckDBPyConnection, proof: Local, first: set[str]) -> set[str]:
    """The keys and homes that some are tied to."""
    pairs = [
        pair
        for one in proof.pairs
        for pair in con.execute(f"SELECT {one.key}, {one.other} FROM {one.relation}").fetchall()
        if None not in pair
    ]
    found = set(first)
    while more := {one for pair in pairs if found & set(pair) for one in pair} - found:
        found |= more
    return found


@pytest.mark.parametrize("name", NOT_TIED)
def test_what_would_not_hold_is_refused_with_its_reason(name: str) -> None:
    rule, sql = NOT_TIED[name]
    with pytest.raises(NotLocal) as refused:
        proved(project(sql), MODEL)
    assert refused.value.code == "lake.local_not"
    assert isinstance(refused.value.__cause__, NotLocal) and refused.value.__cause__.code == f"lake.local_{rule}"
