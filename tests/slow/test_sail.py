"""The same models on the second engine: every row and type as on DuckDB, and either continues what the other released.

Belongs here: comparing the engines. Does not belong here: starting the second one (tests.dbt.sail).
"""

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pytest
import sqlglot

from pipelines.admission.compile import TYPES
from pipelines.codecs.sql import identifier
from pipelines.contracts.dbt import generated
from pipelines.contracts.load import Contracts
from pipelines.lake.build import BuildResult, ModelResult, build
from pipelines.lake.candidate import fingerprint, promote
from pipelines.lake.columns import query_schema
from pipelines.lake.delta import commit, latest, open_table, table_files
from pipelines.lake.edition import CoreVersion, Edition, Prepared, Released, write_snapshot
from pipelines.lake.errors import BadName, BuildFailed
from pipelines.lake.parquet import copy_rows
from pipelines.lake.zones import Lake, library_of
from pipelines.linkage import tables
from pipelines.preparation import MATCHED
from pipelines.run import opened
from tests.city import Town
from tests.dbt.court import NAMES, City, cases, new_city, project_without_models
from tests.dbt.planted import plant_disputed_penalty
from tests.dbt.portable_samples import AGES, FUNCTIONS, SUMS
from tests.dbt.sail import Sail, serving
from tests.environments import environment

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parents[2]
PERSONS = 400


@pytest.fixture(scope="module")
def sail() -> Iterator[Sail]:
    with serving(environment("spark")) as server:
        yield server


@pytest.fixture
def two(tmp_path: Path, sail: Sail) -> tuple[City, City]:
    """The same small city twice: on DuckDB and on Sail."""
    project = project_without_models(tmp_path / "project")
    cities = [
        new_city(Lake(tmp_path / name / "lake"), project, tmp_path / name / "work") for name in ("duckdb", "sail")
    ]
    cities[1].builder = sail.build
    return cities[0], cities[1]


def content(city: City, result: BuildResult) -> dict[str, Any]:
    """Types and rows of every candidate."""
    found = {}
    for name, model in result.models.items():
        assert model.status == "success", model.message
        if model.location is not None:
            found[name] = (city.types(model.location), city.rows(model.location))
            assert model.rows == len(found[name][1])
    return found


def same(two: tuple[City, City], **options: Any) -> tuple[BuildResult, BuildResult]:
    """Build on both engines and compare everything."""
    results = two[0].build(**options), two[1].build(**options)
    assert content(two[1], results[1]) == content(two[0], results[0])
    return results


def release(two: tuple[City, City], results: tuple[BuildResult, BuildResult]) -> None:
    for city, result in zip(two, results, strict=True):
        city.release(result)
        for name, model in result.models.items():
            if model.location is not None and model.version is not None:
                out = city.released[name]
                assert fingerprint(out.location, out.version) == fingerprint(model.location, model.version)


def second_batch(city: City) -> None:
    """Updates that move cases to another day, NULLs, a day emptied, new cases."""
    city.load(
        "court/case",
        cases(2, "U", "3, 100, 10", status="urgent", day="3"),
        cases(2, "U", "4, 100, 10").replace("'open' as status", "null as status"),
        cases(2, "D", "5, 1000, 10"),
        cases(2, "I", "1000, 1010", day="12"),
    )


def test_every_strategy_full_unchanged_incremental(two: tuple[City, City]) -> None:
    first = same(two)
    release(two, first)
    unchanged = same(two)
    assert content(two[1], unchanged[1]) == content(two[1], first[1])
    release(two, unchanged)
    for city in two:
        second_batch(city)
    changed = same(two)
    assert len(content(two[1], changed[1])["mart_court__urgent"][1]) == 10
    release(two, changed)
    full = same(two, full_refresh=True)
    assert content(two[1], full[1]) == content(two[1], changed[1])


def test_the_engines_take_turns_on_one_lake(two: tuple[City, City], sail: Sail) -> None:
    """What one engine released, the other continues; whoever built it, it is the same."""
    turns, alone = two
    alone.builder = build
    for batch, builder in enumerate((sail.build, build, sail.build)):
        turns.builder = builder
        for city in two:
            if batch:
                second_batch(city) if batch == 1 else city.load("court/case", cases(3, "U", "7, 500, 10", day="1"))
        results = same(two)
        release(two, results)
    assert set(turns.released) == set(NAMES)


def test_a_failed_model_says_so_and_harms_only_its_readers(two: tuple[City, City]) -> None:
    release(two, same(two))
    city = two[1]
    name = "models/libraries/lib_court__case.sql"
    city.models[name] = city.models[name].replace("where place = 1", "")
    city.load("court/case", cases(2, "U", "3"), cases(3, "U", "2"))
    result = city.build()
    assert result.models["lib_court__case"].status == "error"
    assert "unique_key" in result.models["lib_court__case"].message
    assert result.models["mart_court__division"].status == "skipped"
    assert result.models["lib_court__day"].status == "success"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("case_id, _op as op", "case_id, _op as op, 1 as more"), "--full-refresh"),
        (("case_id, _op as op", "case_id, cast(_row as int) as op"), "--full-refresh"),
        (("case_id, _op as op", "case_id, null as op"), "op"),
    ],
)
def test_changed_columns_are_refused(two: tuple[City, City], change: tuple[str, str], told: str) -> None:
    city, name = two[1], "models/libraries/lib_court__log.sql"
    city.release(city.build(["lib_court__log"]))
    city.models[name] = city.models[name].replace(*change)
    model = city.build(["lib_court__log"]).models["lib_court__log"]
    assert (model.status, told in model.message) == ("error", True), model.message


@pytest.mark.parametrize("value", ["cast(status as int)", "cast(division || 'x' as date)", "cast(case_id as tinyint)"])
def test_what_cannot_be_cast_is_an_error_on_both_engines(two: tuple[City, City], value: str) -> None:
    for city in two:
        city.models["models/marts/mart_court__urgent.sql"] = (
            f"select {value} as x from {{{{ source('core', 'court__case') }}}}"
        )
        assert city.build(["mart_court__urgent"]).models["mart_court__urgent"].status == "error"


def test_lost_files_fail_only_their_readers(two: tuple[City, City]) -> None:
    city = two[1]
    for file in city.lake.core("court", "division").glob("*.parquet"):
        file.unlink()
    failed = {name: model.message for name, model in city.build().models.items() if model.status != "success"}
    assert set(failed) == {"mart_court__division"}
    assert "court__division" in failed["mart_court__division"] and "丢失" in failed["mart_court__division"]


def test_macros_and_functions_give_the_same_values(two: tuple[City, City]) -> None:
    samples = {"mart_court__ages": AGES, "mart_court__functions": FUNCTIONS, "mart_court__sums": SUMS}
    for city in two:
        city.models |= {f"models/marts/{name}.sql": sql for name, sql in samples.items()}
    same(two, select=list(samples))


def test_statistics_of_the_second_engine_are_read_back(two: tuple[City, City]) -> None:
    """Sail cuts times to milliseconds in its log; readers that trust that would lose rows."""
    sql = """select cast('2026-01-01 00:00:00.123456' as timestamp) as moment,
        repeat('长', 40) as long_text, 'x' as text,
        cast(1.5 as decimal(12, 2)) as fee, cast('nan' as double) as ratio,
        cast(null as bigint) as nothing, 7 as number"""
    city = two[1]
    city.models["models/marts/mart_court__urgent.sql"] = sql
    model = city.build(["mart_court__urgent"]).models["mart_court__urgent"]
    assert model.location is not None
    (file,) = table_files(open_table(model.location))
    assert file.stats["numRecords"] == 1
    assert file.stats["maxValues"] == {"moment": "2026-01-01T00:00:00.123456Z", "text": "x", "fee": 1.5, "number": 7}
    assert set(file.stats["nullCount"]) == set(file.stats["minValues"]) == set(file.stats["maxValues"])
    assert all(field.nullable for field in open_table(model.location).schema().fields)


def test_an_engine_that_does_not_answer_is_one_clear_error(
    two: tuple[City, City], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPARK_REMOTE", "sc://127.0.0.1:1")
    with pytest.raises(BuildFailed, match=r"127\.0\.0\.1:1 does not answer"):
        build(two[1].project, two[1].lake, "e1", tmp_path / "snapshot.json", target="sail")


def test_a_root_the_engine_would_misread_is_refused(two: tuple[City, City], tmp_path: Path) -> None:
    with pytest.raises(BadName, match="ASCII"):
        build(two[1].project, Lake(tmp_path / "湖 lake"), "e1", tmp_path / "snapshot.json", target="sail")


# The real models, on a small core.


def person_log(batch: int, op: str, rows: str, moved: int = 0) -> str:
    """Synthetic persons: every third has NULLs, some share an identity number, names hold Chinese letters."""
    row = "null::bigint" if op == "D" else "i"
    return f"""select 'R' || i as record_no, '34150119' || (i // 2) as id_number,
        '王' || chr(cast(19968 + i % 200 as int)) as name,
        case when i % 2 = 0 then '1' else '2' end as sex, case when i % 3 = 0 then null else '01' end as ethnicity,
        date '1926-02-28' + cast(i * 91 as int) as birth_date, 'H' || (i // 4) as household_no,
        case when i % 5 = 0 then null else '01' end as household_relation,
        code as division_code, case when i % 3 = 0 then null else '六安市 "' || i || '" 号' end as address,
        null::varchar as education, '20' as marital_status,
        case when i % 7 = 0 then null else '1380000' || i end as mobile,
        timestamptz '2026-01-0{batch} 00:00:00.123456+00' + to_seconds(i) as source_updated_at,
        md5((i // 2)::varchar) as person_id, '{op}' as _op, {batch}::bigint as _batch, {row} as _row,
        timestamptz '2026-10-0{batch} 00:00:00+00' as _known_at
        from range({rows}) t(i) join codes c on c.place = (i + {moved}) % (select count(*) from codes)"""


DIVISIONS = """select code, name as division_name, level as division_level, parent_code, 'I' as _op,
    1::bigint as _batch, row_number() over () as _row, timestamptz '2026-10-01 00:00:00+00' as _known_at
    from divisions"""
BOUNDARIES = """select code as county_code,
    format('POLYGON (({0} 31.5, {1} 31.5, {1} 31.6, {0} 31.5))', 116 + place / 20, 116.04 + place / 20)
        as county_boundary,
    1000.5 + row_number() over () as area_km2, 'I' as _op, 1::bigint as _batch, row_number() over () as _row,
    timestamptz '2026-10-01 00:00:00+00' as _known_at
    from (select *, row_number() over (order by code) as place from divisions)
    where level = 'county' and code <> '341525'"""


HISTORIES = {"lib_population__person_history", "lib_legal_entity__entity_history"}
"""They tell of changes since a release, of which a first build has none."""


@dataclass
class Core:
    """Core logs of every source of the contracts in one lake, on one connection that knows the divisions."""

    lake: Lake
    contracts: Contracts
    con: duckdb.DuckDBPyConnection

    def load(self, dataset: str, query: str) -> None:
        """Append the rows of a query that has columns of the contract; those that it lacks are empty."""
        source = self.contracts.sources[dataset]
        given = {name for name, *_ in self.con.execute(f"describe {query}").fetchall()}
        wanted = {column.name: TYPES[column.definition.logicalType] for column in source.all_columns}
        shown = ", ".join(
            f"cast({identifier(name) if name in given else 'null'} as {kind}) as {identifier(name)}"
            for name, kind in wanted.items()
        )
        query = f"select {shown}, _op, _batch, _row, _known_at from ({query})"
        location = self.lake.core(source.org, source.dataset)
        files = copy_rows(self.con, query, location)
        commit(location, query_schema(self.con, query, dataset), "append", latest(location), files)

    def fill(self) -> None:
        """The first batch: divisions, boundaries, persons; sources this test does not know stay empty."""
        known = {"dsrb/division": DIVISIONS, "nrpb/county_boundary": BOUNDARIES}
        known["psb/household_person"] = person_log(1, "I", str(PERSONS))
        for dataset, source in self.contracts.sources.items():
            nulls = ", ".join(f'null as "{column.name}"' for column in source.all_columns)
            control = (
                "'I' as _op, 1::bigint as _batch, 1::bigint as _row, timestamptz '2026-10-01 00:00:00+00' as _known_at"
            )
            self.load(dataset, known.get(dataset, f"select {nulls}, {control} where false"))

    def edition(self, name: str, day: date) -> Edition:
        """Everything loaded so far."""
        sources = {}
        for dataset, source in self.contracts.sources.items():
            location = self.lake.core(source.org, source.dataset)
            columns = tuple(column.name for column in source.all_columns)
            version = latest(location) or 0
            sources[dataset] = CoreVersion(location, version, version + 1, tuple(source.form.load.key), columns)
        tables.ensure(self.lake)
        return Edition(name, day, sources, prepared(self.lake, self.contracts, sources))


def prepared(lake: Lake, contracts: Contracts, sources: Mapping[str, CoreVersion]) -> dict[str, Prepared]:
    """What a run finds out before it builds models."""
    found = {f"matched.{name}": match(lake, contracts, sources) for name, match in MATCHED.items()}
    return tables.shown(lake) | {name: table for name, table in found.items() if table is not None}


@pytest.fixture
def core(tmp_path: Path, contracts: Contracts) -> Iterator[Core]:
    lake = Lake(tmp_path / "lake")
    lake.prepare()
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        file = REPOSITORY / "data_contracts" / "codes" / "divisions.csv"
        con.execute(f"create table divisions as select * from read_csv('{file}', all_varchar = true)")
        con.execute(
            "create table codes as select code, row_number() over (order by code) - 1 as place from divisions "
            "where level = 'village' using sample 37 rows (reservoir, 1)"
        )
        yield Core(lake, contracts, con)


def test_the_real_models_are_the_same_on_both_engines(core: Core, tmp_path: Path, sail: Sail) -> None:
    core.fill()
    released: list[Released] = []
    for number, day in enumerate((date(2026, 11, 1), date(2027, 3, 1))):
        if number:
            changes = [person_log(2, "U", "10, 200, 7", moved=5), person_log(2, "D", "1, 200, 10")]
            core.load("psb/household_person", " union all ".join([*changes, person_log(2, "I", f"{PERSONS}, 450")]))
        found, results = [], []
        for engine, builder in (("duckdb", build), ("sail", sail.build)):
            edition, snapshot = core.edition(f"{engine}{number}", day), core.lake.scratch() / "snapshot.json"
            write_snapshot(snapshot, edition, released, {entry.model for entry in released})
            project, files = REPOSITORY / "dbt_project", generated(core.contracts, day)
            work = tmp_path / "work" / engine
            results.append(builder(project, core.lake, edition.id, snapshot, work=work, generated=files))
            found.append(content(City(core.lake, project, work, {}, {}), results[-1]))
        assert found[1] == found[0]
        assert len(found[1]["lib_population__person"][1]) > PERSONS / 3
        assert found[1]["mart_population__age_structure"][1]
        released = [publish(core.lake, name, model, number) for name, model in results[1].models.items() if model.rows]


def test_a_whole_city_is_the_same_on_both_engines(contracts: Contracts, tmp_path: Path, sail: Sail) -> None:
    """Every model on what every source of the simulated city delivered, two days of it."""
    town = Town(tmp_path / "town", persons=2_000)
    plant_disputed_penalty(town.city)
    try:
        for day in range(2):
            if day:
                town.city.tick()
            with opened(town.settings, "sail") as run:
                assert {run.ingest(name).status for name in contracts.sources} <= {"admitted", "unchanged"}
    finally:
        town.close()
    lake, day = Lake(tmp_path / "lake"), date(2026, 1, 5)
    shutil.move(town.settings.lake.root, lake.root)  # the second engine takes no path with a space in it
    sources = {}
    for dataset, source in contracts.sources.items():
        location = lake.core(source.org, source.dataset)
        columns = tuple(column.name for column in source.all_columns)
        version = latest(location) or 0
        sources[dataset] = CoreVersion(location, version, version + 1, tuple(source.form.load.key), columns)
    tables.ensure(lake)
    found = []
    for engine, builder in (("duckdb", build), ("sail", sail.build)):
        snapshot, work = lake.scratch() / "snapshot.json", tmp_path / "work" / engine
        seen = Edition(engine, day, sources, prepared(lake, contracts, sources))
        write_snapshot(snapshot, seen, [], set())
        files = generated(contracts, day)
        result = builder(REPOSITORY / "dbt_project", lake, engine, snapshot, work=work, generated=files)
        found.append(content(City(lake, REPOSITORY / "dbt_project", work, {}, {}), result))
    assert found[0].keys() == contracts.models.keys()
    assert {name for name, (_, rows) in found[0].items() if not rows} == HISTORIES
    for name in found[0]:
        assert found[1][name] == found[0][name], name


def publish(lake: Lake, name: str, model: ModelResult, number: int) -> Released:
    """Release a candidate, as the gate would."""
    assert model.location is not None and model.version is not None
    target = lake.released(library_of(name), name)
    transaction = ("release", number)
    version = promote(
        model.location, model.version, target, allow_schema_change=False, metadata={}, transaction=transaction
    )
    assert fingerprint(target, version) == fingerprint(model.location, model.version)
    return Released(library_of(name), name, target, version)


def test_what_dbt_compiles_for_the_second_engine_is_spark_sql(sail: Sail, contracts: Contracts, tmp_path: Path) -> None:
    request = {
        "project": REPOSITORY / "dbt_project",
        "work": tmp_path,
        "generated": generated(contracts, date(2026, 11, 1)),
    }
    compiled = sail.ask(request)
    assert "lib_population__person" in compiled
    for sql in compiled.values():
        assert sqlglot.parse_one(sql, dialect="spark")
