"""A small lake with one core log and one core table, and a project that has every strategy: `court`.

Belongs here: what several dbt tests share. The project is the real dbt_project without its models, plus these.
"""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb

from pipelines.lake.build import BuildResult, build
from pipelines.lake.candidate import promote
from pipelines.lake.columns import query_schema
from pipelines.lake.delta import commit, latest, open_table, scan
from pipelines.lake.edition import CoreVersion, Edition, Released, write_snapshot
from pipelines.lake.parquet import copy_rows
from pipelines.lake.zones import Lake, library_of

REPOSITORY = Path(__file__).parents[2]
AS_OF = date(2026, 11, 1)

SOURCES = """
sources:
  - name: core
    schema: core
    tables: [{name: court__case}, {name: court__case__log}, {name: court__division}, {name: court__division__log}]
  - {name: lake, schema: lake, tables: [{name: edition}]}
"""

STAGING = """
select case_id, division, opened_on, status, fee, _batch
from {{ source('core', 'court__case') }}
"""

# The newest change of each case since the last build; a D removes it.
MERGE = """
{{ config(incremental_strategy='merge', unique_key='case_id', delete_when="op = 'D'") }}
with ranked as (
    select *, row_number() over (partition by case_id order by _batch desc nulls last) as place
    from {{ source('core', 'court__case__log') }}
    {% if is_incremental() %}
    where _batch > (select max(batch) from {{ this }})
    {% endif %}
)
select case_id, division, opened_on, status, fee, _op as op, _batch as batch from ranked where place = 1
"""

# Days of changed cases, before and after the change; a day without cases left is emptied.
REPLACE = """
{{ config(incremental_strategy='replace_partition', partition_by=['opened_on'], delete_when='cases = 0') }}
select
    cast(count(c.case_id) as bigint) as cases,
    cast(sum(c.fee) as decimal(18, 2)) as fees,
    cast(coalesce(max(c._batch), 0) as bigint) as batch,
    d.opened_on
from (select distinct opened_on from {{ source('core', 'court__case__log') }}
    {% if is_incremental() %}
    where case_id in (
        select case_id from {{ source('core', 'court__case__log') }} where _batch > (select max(batch) from {{ this }})
    )
    {% endif %}
) d
left join {{ ref('stg_court__case') }} c on c.opened_on = d.opened_on
group by d.opened_on
"""

APPEND = """
{{ config(incremental_strategy='append') }}
select case_id, _op as op, _batch as batch from {{ source('core', 'court__case__log') }}
{% if is_incremental() %}
where _batch > (select max(batch) from {{ this }})
{% endif %}
"""

TABLE = """
select d.name, cast(count(c.case_id) as bigint) as cases, cast(sum(c.fee) as decimal(18, 2)) as fees,
    max(e.as_of) as as_of
from {{ source('core', 'court__division') }} d
cross join {{ source('lake', 'edition') }} e
left join {{ ref('lib_court__case') }} c on c.division = d.division
group by d.name
"""

EMPTY = "select case_id, division, opened_on from {{ ref('lib_court__case') }} where status = 'urgent'"

MODELS = {
    "models/sources.yml": SOURCES,
    "models/staging/stg_court__case.sql": STAGING,
    "models/libraries/lib_court__case.sql": MERGE,
    "models/libraries/lib_court__day.sql": REPLACE,
    "models/libraries/lib_court__log.sql": APPEND,
    "models/marts/mart_court__division.sql": TABLE,
    "models/marts/mart_court__urgent.sql": EMPTY,
}
NAMES = [Path(path).stem for path in MODELS if "/lib_" in path or "/mart_" in path]

COLUMNS = ("case_id", "division", "opened_on", "status", "fee")
CONTROL = (
    "'{op}' as _op, {batch}::bigint as _batch, {row} as _row, timestamptz '2026-10-0{batch} 00:00:00+00' as _known_at"
)


def cases(batch: int, op: str, rows: str, status: str = "open", day: str = "i % 10") -> str:
    """A query of changes: the cases of a SQL range, all with one operation."""
    control = CONTROL.format(op=op, batch=batch, row="null::bigint" if op == "D" else "i")
    return f"""select i as case_id, '34150' || (i % 3) as division, date '2026-01-01' + cast({day} as int) as opened_on,
        '{status}' as status, cast(i % 100 as decimal(12, 2)) as fee, {control} from range({rows}) t(i)"""


@dataclass
class City:
    """A lake, what is published in it, and the project that builds it."""

    lake: Lake
    project: Path
    work: Path
    released: dict[str, Released]
    models: dict[str, str]
    editions: int = 0
    builder: Callable[..., BuildResult] = build

    def load(self, dataset: str, *queries: str) -> int:
        """Append one batch to a core table."""
        location = self.lake.core(*dataset.split("/"))
        query = " union all ".join(queries)
        with duckdb.connect() as con:
            con.execute("set TimeZone = 'UTC'")
            schema = query_schema(con, query, dataset)
            return commit(location, schema, "append", latest(location), copy_rows(con, query, location))

    def edition(self) -> Edition:
        case, division = self.lake.core("court", "case"), self.lake.core("court", "division")
        versions = {"case": latest(case) or 0, "division": latest(division) or 0}
        return Edition(
            f"e{self.editions}",
            AS_OF,
            {
                "court/case": CoreVersion(case, versions["case"], 0, ("case_id",), COLUMNS),
                "court/division": CoreVersion(division, versions["division"], 0, ("division",), ("division", "name")),
            },
        )

    def build(self, select: Sequence[str] | None = None, full_refresh: bool = False) -> BuildResult:
        """A new edition of everything loaded so far."""
        self.editions += 1
        snapshot = self.lake.scratch() / "snapshot.json"
        edition = self.edition()
        write_snapshot(snapshot, edition, list(self.released.values()), set(select or NAMES))
        return self.builder(
            self.project, self.lake, edition.id, snapshot, select,
            full_refresh=full_refresh, work=self.work, generated=self.models,
        )  # fmt: skip

    def release(self, result: BuildResult) -> None:
        """Promote every candidate of a build and publish it."""
        for name, model in result.models.items():
            if model.location is None or model.version is None:
                continue
            location = self.lake.released(library_of(name), name)
            version = promote(
                model.location, model.version, location,
                allow_schema_change=True, metadata={}, transaction=("release", self.editions),
            )  # fmt: skip
            self.released[name] = Released(library_of(name), name, location, version)

    def types(self, location: Path, version: int | None = None) -> dict[str, str]:
        """Columns of a table and their types, as DuckDB reads them."""
        read = scan(open_table(location, version))
        with duckdb.connect() as con:
            relation = con.sql(f"select {read.columns} from {read.source}")
            return dict(zip(relation.columns, map(str, relation.types), strict=True))

    def rows(self, location: Path, version: int | None = None) -> list[tuple[object, ...]]:
        """All rows of a table, ordered."""
        read = scan(open_table(location, version))
        with duckdb.connect() as con:
            return con.execute(f"select {read.columns} from {read.source} order by all").fetchall()

    def candidate_rows(self, result: BuildResult, name: str) -> list[tuple[object, ...]]:
        model = result.models[name]
        assert model.status == "success", model.message
        assert model.location is not None
        return self.rows(model.location, model.version)


def project_without_models(target: Path) -> Path:
    """A copy of the real project without its models."""
    shutil.copytree(REPOSITORY / "dbt_project", target, ignore=shutil.ignore_patterns("models", "tests"))
    return target


def new_city(lake: Lake, project: Path, work: Path) -> City:
    """1000 cases in batch 1 and three divisions; nothing built yet."""
    lake.prepare()
    city = City(lake, project, work, {}, dict(MODELS))
    city.load("court/case", cases(1, "I", "1000"))
    control = CONTROL.format(op="I", batch=1, row="row_number() over ()")
    divisions = "(values ('341500', '金安区'), ('341501', '裕安区'), ('341502', '叶集区')) t(division, name)"
    city.load("court/division", f"select division, name, {control} from {divisions}")
    return city
