"""The proof that a model is local in its key: what it accepts holds on random rows, what would not hold it refuses."""

import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import drawn
import duckdb
import pytest
from court import AS_OF
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.admission.compile import TYPES
from pipelines.codecs.sql import identifier, literal
from pipelines.contracts.dbt import generated
from pipelines.contracts.load import Contracts
from pipelines.lake.edition import current_state
from pipelines.lake.locality import Project
from pipelines.lake.models import Model, models, whole_sql
from pipelines.lake.proofs import ROWS, Aside, Input, Local
from pipelines.lake.query_parts import NotLocal
from pipelines.lake.ties import proved
from pipelines.linkage import tables
from tests.city import seed_from_clock
from tests.draws import draws

REPOSITORY = Path(__file__).parents[2]
SOURCES = ("core.t", "core.u", "core.v")
COLUMNS = ("k", "a", "b")

LOCAL = {
    "filter": "select k, a from core.t where k is not null and a > 1",
    "window": "select k, a, row_number() over (partition by k order by a nulls last, b nulls last) as place "
    "from core.t where k is not null",
    "groups": "select k, count(*) as n, max(a) as a from core.t where k is not null group by k having count(*) > 1",
    "distinct": "select distinct k, a from core.t where k is not null",
    "inner": "select t.k, t.a, u.b from core.t t join core.u u on u.k = t.k where u.a is null or u.a <> t.a",
    "left": "select t.k, t.a, u.b from core.t t left join core.u u on u.k = t.k and u.a > 1 where t.k is not null",
    "chain": "select t.k, v.b from core.t t left join core.u u on u.a = t.k left join core.v v on v.b = u.a "
    "where t.k is not null",
    "full": "with x as (select * from core.t where k is not null), y as (select * from core.u where k is not null) "
    "select coalesce(x.k, y.k) as k, x.a, y.b, v.a as c from x full outer join y on y.k = x.k and y.b = x.b "
    "left join core.v v on v.k = coalesce(x.k, y.k)",
    "union": "select k, a from core.t where k is not null union all select a as k, b from core.u where a is not null",
    "other_column": "select t.k, u.k as c from core.t t join core.u u on t.k = u.b",
    "star": "with several as (select k as sk from core.t group by k having count(*) > 1) select * from "
    "(select r.*, 1 as n from core.t r left join several s on s.sk = r.k where s.sk is null and r.k is not null "
    "union all select r.*, 2 as n from core.t r join several s on s.sk = r.k) x where n > 0",
    "fixed": "select t.k, w.b from core.t t left join core.w w on w.a = t.a where t.k is not null",
    "of a spouse": "select t.k, u.b, count(*) over (partition by t.k) as n from core.t t "
    "left join core.u u on u.k = t.a where t.k is not null",
    "of a couple": "with x as (select k, a, b from core.t where k is not null union all select a, k, b from core.t "
    "where a is not null) select x.k, u.b, v.b as c from x join core.u u on u.b = x.a left join core.v v on v.k = x.k",
    "of a child's child": "select t.k, x.c from core.t t left join (select u.k, v.b as c from core.u u "
    "left join core.v v on v.k = u.b where u.k is not null) x on x.k = t.k left join core.w w on w.k = t.b "
    "where t.k is not null",
    "values": "select t.k, n.i from core.t t cross join (values (1), (2)) n (i) where t.k is not null and t.a > n.i",
}
NOT_LOCAL = {
    "window without the key": ("window", "select k, row_number() over (partition by a order by b nulls last) as p "
                               "from core.t where k is not null"),
    "window over all": ("window", "select k, max(a) over () as p from core.t where k is not null"),
    "window by what is only joined": ("window", "select t.k, count(*) over (partition by u.k) as n from core.t t "
                                      "left join core.u u on u.k = t.k where t.k is not null"),
    "join on a computed column": ("join", "select t.k, u.b from core.t t join core.u u on u.a = t.a + 1 "
                                  "where t.k is not null"),
    "join without a condition": ("join", "select t.k, u.b from core.t t cross join core.u u where t.k is not null"),
    "of the largest of a key": ("key", "select x.k, u.b from (select k, max(a) as a from core.t where k is not null "
                                "group by k) x left join core.u u on u.k = x.a"),
    "of somebody joined": ("join", "select t.k, v.b from core.t t left join core.u u on u.k = t.k "
                           "left join core.v v on v.a > u.a where t.k is not null"),
    "full join without coalesce": ("key", "select t.k, u.b from core.t t full outer join core.u u on u.k = t.k "
                                   "where t.k is not null"),
    "full join on another column": ("key", "select coalesce(t.k, u.k) as k "
                                    "from (select * from core.t where k is not null) t full outer join "
                                    "(select * from core.u where k is not null) u on u.a = t.a"),
    "limit": ("part", "select k, a from core.t where k is not null order by a nulls last limit 3"),
    "offset": ("part", "select k, a from core.t where k is not null order by a nulls last offset 3"),
    "distinct on": ("part", "select distinct on (a) k, a from core.t where k is not null"),
    "scalar subquery": ("subquery", "select k, (select max(a) from core.u) as m from core.t where k is not null"),
    "in": ("subquery", "select k from core.t where k is not null and a in (select a from core.u)"),
    "exists": ("subquery", "select k from core.t where k is not null and exists (select 1 from core.u)"),
    "groups of others": ("null", "select max(k) as k, a from core.t where k is not null group by a"),
    "one group": ("null", "select max(k) as k from core.t"),
    "computed key": ("null", "select k + 1 as k from core.t where k is not null"),
    "key may be null": ("null", "select k, a from core.t"),
    "except": ("null", "select k from core.t where k is not null except select k from core.u"),
    "right join": ("join", "select t.k from core.t t right join core.u u on u.k = t.k where t.k is not null"),
    "chance": ("function", "select k, random() as r from core.t where k is not null"),
    "clock": ("function", "select k, current_date as d from core.t where k is not null"),
    "grouping sets": ("group", "select k, count(*) as n from core.t where k is not null "
                      "group by grouping sets (k, ())"),
    "unknown function": ("function", "select k, some_new_function(a) as x from core.t where k is not null"),
    "beside": ("column", "select t.k, x.b from core.t t join (select u.b, t.k as k from core.u u) x on x.k = t.k"),
    "by place": ("group", "select k, count(*) as n from core.t where k is not null group by 1"),
}  # fmt: skip


def project(sql: str, fixed: tuple[str, ...] = ()) -> Project:
    model = Model("lib_t__m", "lib", "t", None, (), (), "m.sql", "", "k", fixed)
    return Project({"lib_t__m": model}, {"lib_t__m": sql}, {name: COLUMNS for name in (*SOURCES, "core.w")})


def result(con: duckdb.DuckDBPyConnection, query: str) -> list[tuple[Any, ...]]:
    return con.execute(f"SELECT * FROM ({query}) ORDER BY ALL").fetchall()


def require_local(con: duckdb.DuckDBPyConnection, proof: Local, sql: str, kept: str) -> None:
    """model(inputs with these keys) = rows of model(inputs) with these keys. `kept`: a condition, ? is the column."""
    for number, one in enumerate(proof.inputs):
        where = kept.replace("?", f'"{one.column}"')
        listed = ", ".join(proof.columns.get(one, "*"))
        con.execute(f"CREATE OR REPLACE TEMP TABLE {ROWS}{number} AS SELECT {listed} FROM {one.relation} WHERE {where}")
    where = kept.replace("?", f'"{proof.key}"')
    expected = result(con, f"SELECT * FROM ({sql}) WHERE {where}")
    assert result(con, f"SELECT * FROM ({proof.sql}) WHERE {where}") == expected
    assert con.execute(f'SELECT count(*) FROM ({sql}) WHERE "{proof.key}" IS NULL').fetchone() == (0,)


Data = list[list[tuple[Any, ...]]]
VALUES = st.one_of(st.none(), st.integers(0, 4))
TABLES = st.lists(st.tuples(VALUES, VALUES, VALUES), max_size=7)


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as con:
        con.execute("CREATE SCHEMA core; CREATE SCHEMA old")
        yield con


TWICE = st.lists(TABLES, min_size=4, max_size=4)


@pytest.mark.long
@pytest.mark.parametrize("name", LOCAL)
@settings(max_examples=draws(20), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(now=TWICE, then=TWICE, kept=st.sets(st.integers(0, 4)))
def test_what_is_proved_holds(name: str, con: duckdb.DuckDBPyConnection, now: Data, then: Data, kept: set[int]) -> None:
    proof = project(LOCAL[name], ("w",) if name == "fixed" else ()).prove("lib_t__m")
    put(con, "core", now)
    require_local(con, proof, LOCAL[name], f"? IN ({', '.join(map(str, kept)) or 'NULL'})")
    if not proof.fixed:
        put(con, "old", then)
        keys = " UNION ".join(changed(proof.inputs, proof.asides))
        rows = [result(con, f"FROM ({sql}) WHERE k NOT IN ({keys})") for sql in (LOCAL[name], old(LOCAL[name]))]
        assert rows[0] == rows[1]


def put(con: duckdb.DuckDBPyConnection, schema: str, data: Data) -> None:
    for relation, rows in zip("tuvw", data, strict=True):
        con.execute(f"CREATE OR REPLACE TABLE {schema}.{relation} (k INT, a INT, b INT)")
        for row in rows:
            values = ", ".join("NULL" if one is None else str(one) for one in row)
            con.execute(f"INSERT INTO {schema}.{relation} VALUES ({values})")


def old(sql: str) -> str:
    return sql.replace("core.", "old.")


def changed(inputs: Sequence[Input], asides: Sequence[Aside]) -> Iterator[str]:
    """Queries of the keys that an Input or an Aside concerns, by comparing all rows there were with all there are."""
    for one in inputs:
        sides = (one.relation, old(one.relation))
        for first, second in (sides, sides[::-1]):
            yield f"SELECT {one.column} FROM (FROM {first} EXCEPT ALL FROM {second}) WHERE {one.column} IS NOT NULL"
    for aside in asides:
        others = " UNION ".join(changed(aside.inputs, aside.asides))
        for pair in aside.pairs:
            for relation in (pair.relation, old(pair.relation)):
                where = f"{pair.other} IN ({others}) AND {pair.key} IS NOT NULL"
                yield f"SELECT {pair.key} FROM {relation} WHERE {where}"


@pytest.mark.parametrize("name", NOT_LOCAL)
def test_what_would_not_hold_is_refused_with_its_reason(name: str) -> None:
    rule, sql = NOT_LOCAL[name]
    with pytest.raises(NotLocal) as refused:
        project(sql).prove("lib_t__m")
    assert refused.value.code == "lake.local_not"
    assert isinstance(refused.value.__cause__, NotLocal) and refused.value.__cause__.code == f"lake.local_{rule}"
    assert refused.value.text("zh").startswith("m.sql：") and "m.sql: " in refused.value.text("en")


def test_a_fixed_relation_that_is_not_read_is_refused() -> None:
    with pytest.raises(NotLocal, match="core_w"):
        project("select k from core.t where k is not null", ("core_w",)).prove("lib_t__m")


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory, contracts: Contracts) -> Project:
    work = tmp_path_factory.mktemp("dbt")
    files = generated(contracts, AS_OF)
    folder = REPOSITORY / "dbt_project"
    return Project(models(folder, work, files), whole_sql(folder, work, files))


@pytest.mark.long
def test_every_model_with_a_key_is_proved(shipped: Project) -> None:
    keyed = [name for name, model in shipped.graph.items() if model.key is not None]
    assert "lib_population__person" in keyed
    for name in keyed:
        proof = proved(shipped, name)
        assert proof.inputs and set(shipped.graph[name].fixed) == {one.partition(".")[2] for one in proof.fixed}


@pytest.mark.long
def test_the_proofs_of_the_shipped_models_hold_on_random_rows(shipped: Project, contracts: Contracts) -> None:
    seed = seed_from_clock()
    print(f"seed {seed} (repeat with CITYLAKE_TEST_SEED)")
    dice = random.Random(seed)
    with duckdb.connect() as con:
        fill(con, contracts, dice)
        for name in shipped.graph:
            show(con, shipped, name)
        for name in (name for name, model in shipped.graph.items() if model.key is not None and not model.tied):
            proof, relation = shipped.prove(name), f"{shipped.graph[name].layer}.{name}"
            keys = [key for (key,) in con.execute(f"SELECT DISTINCT {proof.key} FROM {relation}").fetchall()]
            assert keys
            for share in (0.02, 0.5):
                kept = ", ".join(literal(key) for key in keys if dice.random() < share)
                require_local(con, proof, f"FROM {relation}", f"? IN ({kept or 'NULL'})")


def fill(con: duckdb.DuckDBPyConnection, contracts: Contracts, dice: random.Random) -> None:
    """Every source, with a log of three batches where it is about persons; what is known of who they are."""
    con.execute(
        "CREATE SCHEMA core; CREATE SCHEMA linkage; CREATE SCHEMA matched; CREATE SCHEMA lake; CREATE SCHEMA before"
    )
    for name, source in contracts.sources.items():
        types = {column.name: TYPES[column.definition.logicalType] for column in source.all_columns}
        types |= {"_op": "VARCHAR", "_batch": "BIGINT", "_row": "BIGINT", "_known_at": "TIMESTAMPTZ"}
        log = f"core.{name.replace('/', '__')}__log"
        con.execute(f"CREATE TABLE {log} ({', '.join(f'{identifier(one)} {kind}' for one, kind in types.items())})")
        key = tuple(source.form.load.key)
        state = current_state(log, key, list(types)[:-4], None, '"')
        con.execute(f"CREATE VIEW {log.removesuffix('__log')} AS {state}")
        rows = [
            [*drawn.row(dice, source, number).values(), op, batch, place, None]
            for batch in (1, 2, 3)
            for place, number in enumerate(range(100))
            if dice.random() < (0.9 if batch == 1 else 0.2)
            for op in (dice.choice("UUUD"),)
        ]
        if name in drawn.SOURCES:
            con.executemany(f"INSERT INTO {log} VALUES ({', '.join('?' * len(types))})", rows)
    for name, columns in tables.TABLES.items():
        con.execute(f"CREATE TABLE linkage.{name} ({', '.join(f'{one} {kind}' for one, kind in columns.items())})")
    merged = [(claim, dice.choice([None, *drawn.CLAIMS])) for claim in drawn.CLAIMS if dice.random() < 0.2]
    con.executemany("INSERT INTO linkage.alias VALUES (?, ?)", merged)
    con.executemany(
        "INSERT INTO linkage.link (dataset, row_key, person_id) VALUES ('hc/health_record', ?, ?)",
        [(f"health_record_no{number:03}", dice.choice(drawn.CLAIMS)) for number in range(0, 100, 7)],
    )


def show(con: duckdb.DuckDBPyConnection, project: Project, name: str) -> None:
    """A view of a model of the population library and of all that it reads."""
    model = project.graph[name]
    if f"{model.layer}.{name}" not in read(project):
        return
    for below in model.depends_on:
        show(con, project, below)
    con.execute(f"CREATE SCHEMA IF NOT EXISTS {model.layer}")
    sql = project.query(name).sql("duckdb")
    con.execute(f"CREATE OR REPLACE VIEW {model.layer}.{name} AS {sql}")


def read(project: Project) -> set[str]:
    """Models with a key of their own, and everything that these read, themselves or through others."""
    waiting, found = [name for name, model in project.graph.items() if model.key and not model.tied], set[str]()
    while waiting:
        model = project.graph[waiting.pop()]
        waiting += model.depends_on
        found.add(f"{model.layer}.{model.name}")
    return found
