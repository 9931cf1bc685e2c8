"""Every model of the project is portable, and each way out of the portable subset is caught with its reason."""

from pathlib import Path

import pytest
from court import AS_OF, MODELS

from pipelines.contracts.dbt import generated
from pipelines.contracts.load import load
from pipelines.lake.portability import check_model, check_project
from pipelines.lake.portable_tokens import SPECIAL_FUNCTIONS
from pipelines.messages import catalogue

REPOSITORY = Path(__file__).parents[2]
RELATIONS = {"core.t", "core.u"}

BAD = [
    ("qualify", "select a, b from core.t qualify row_number() over (partition by a order by b nulls last) = 1"),
    ("by_all", "select a, count(*) as n from core.t group by all"),
    ("by_all", "select a from core.t order by all"),
    ("star", "select * exclude (a) from core.t"),
    ("star", "select * replace (b as a) from core.t"),
    ("star", "select columns('a.*') from core.t"),
    ("recursive", "with recursive r as (select a from core.t union all select a from r) select a from r"),
    ("pivot", "select * from core.t pivot (sum(a) for b in (1, 2))"),
    ("pivot", "select * from core.t unpivot (v for n in (a, b))"),
    ("join", "select t.a from core.t asof join core.u on t.a >= u.a"),
    ("join", "select t.a from core.t natural join core.u"),
    ("join", "select t.a from core.t cross join lateral (select u.a from core.u) x"),
    ("nulls_order", "select a from core.t order by a"),
    ("nulls_order", "select a from core.t order by a nulls last, b desc"),
    ("nulls_order", "select lag(a) over (partition by b order by c desc) as x from core.t"),
    ("concat", "select concat(a, b) as x from core.t"),
    ("table_function", "select * from read_parquet('a.parquet')"),
    ("table_function", "select a from core.t cross join range(3) r(i)"),
    ("relation", "select * from 'a.parquet'"),
    ("relation", "select * from core.other"),
    ("relation", "select * from t"),
    ("alias_reuse", "select a + b as c, case when c > 1 then 1 else 0 end as d from core.t"),
    ("alias_reuse", "select a || 'x' as c from core.t where c = 'yx'"),
    ("alias_reuse", "select a || 'x' as c, count(*) as n from core.t group by c"),
    ("by_name", "select a from core.t union all by name select a from core.u"),
    ("distinct_on", "select distinct on (a) a, b from core.t"),
    ("sample", "select a from core.t using sample 10"),
    ("from_first", "from core.t select a"),
    ("from_first", "select a from (from core.t)"),
    ("regex", "select regexp_replace(a, '[0-9]', '') as x from core.t"),
    ("backslash", r"select a from core.t where a like '\d'"),
    ("date_function", "select dateadd('day', 7, a) as x from core.t"),
    ("date_function", "select last_day(a) as x from core.t"),
    ("safe_cast", "select safe_cast(a as int) as x from core.t"),
    ("function", "select string_agg(a, ',') as x from core.t"),
    ("function", "select list(a) as x from core.t"),
    ("function", "select strftime(a, '%Y') as x from core.t"),
    ("function", "select epoch(a) as x from core.t"),
    ("function", "select timezone('UTC', a) as x from core.t"),
    ("function", "select json_extract(a, '$.b') as x from core.t"),
    ("function", "select struct_pack(x := a) as x from core.t"),
    ("function", "select dayofweek(a) as x from core.t"),
    ("nested", "select [a, b] as x from core.t"),
    ("nested", "select {'x': a} as x from core.t"),
    ("nested", "select unnest(a) as x from core.t"),
    ("ignore_nulls", "select last_value(a ignore nulls) over (order by b nulls last) as x from core.t"),
    ("fraction", "select cast(a / 2 as int) as x from core.t"),
    ("fraction", "select cast(avg(a) as bigint) as x from core.t"),
    ("fraction", "select cast(coalesce(cast(a as double), 0) * 2 as bigint) as x from core.t"),
    ("fraction", "select (a * 1.5)::int as x from core.t"),
    ("fraction", "select cast(sum(cast(a as decimal(12, 2))) as bigint) as x from core.t"),
    ("division", "select cast(a / 2 as double) as x from core.t"),
    ("division", "select cast(avg(a) as double) as x from core.t"),
    ("division", "select cast(sum(a) / count(*) as double) as x from core.t"),
    ("zero_division", "select cast(a as double) / b as x from core.t"),
    ("zero_division", "select cast(a % b as int) as x from core.t"),
    ("try_cast", "select try_cast(a as int) as x from core.t"),
    ("type", "select cast(a as varchar) as x from core.t"),
    ("type", "select cast(a as decimal) as x from core.t"),
    ("type", "select a::timestamptz as x from core.t"),
    ("type", "select try_cast(a as hugeint) as x from core.t"),
    ("date_cast", "select a + interval '7' day as x from core.t"),
    ("date_cast", "select date_trunc('month', a) as x from core.t"),
    ("range_frame", "select max(a) over (order by d nulls last range between interval 1 day preceding and current row) "
     "as x from core.t"),
    ("clock", "select a from core.t where a < current_date"),
    ("clock", "select now() as x from core.t"),
    ("double_quotes", 'select "a" from core.t'),
    ("quote_in_text", "select 'it''s' as x from core.t"),
    ("operator", "select a // b as x from core.t"),
    ("output_type", "select sum(a) as x from core.t"),
    ("output_type", "select coalesce(a + 1, 0) as x from core.t"),
    ("output_type", "select row_number() over (order by a nulls last) as x from core.t"),
    ("output_type", "select a from core.t union all select year(b) as a from core.t"),
    ("substr_start", "select substr(a, 0, 3) as x from core.t"),
    ("no_query", "delete from core.t"),
    ("no_query", "select a from core.t; select b from core.t"),
    ("unparsed", "select a from from core.t where"),
]  # fmt: skip

GOOD = [
    "select * from core.t",
    "select t.*, u.b from core.t left join core.u using (a)",
    "with x (k, n) as (select a, count(*) from core.t group by a) select k, n from x where n > 1",
    "select cast(round(cast(a as double) / nullif(b, 0)) as int) as x, cast(floor(a::int / 2) as int) as y from core.t",
    "select cast(avg(cast(a as double)) as double) as x, cast(count(a) / 2 as double) as y from core.t",
    "select cast(a + interval '7' day as date) as x, cast(date_trunc('month', a) as date) as y from core.t",
    "select cast(sum(a) as decimal(18, 2)) as x, count(*) as n, min(b) as b from core.t",
    "select cast(a as int) as a from core.t where a > 1",
    "select a || '-' || coalesce(b, '') as x from core.t order by x nulls last, b desc nulls first limit 3",
    "select cast(row_number() over (partition by a order by b desc nulls last, c nulls last) as int) as x from core.t",
    "select max(a) over (order by cast(d as timestamp) nulls last range between interval '1' day preceding and current "
    "row) as x from core.t",
    "select max(a) over (order by b nulls last rows between 1 preceding and current row) as x from core.t",
    "select a from core.t where a in (select a from core.u) and exists (select 1 from core.u where u.b = t.b)",
    "select x.a from (values (1, 'a'), (2, 'b')) x (a, b) cross join core.t",
    "select a::bigint as a, substr(b, 1, 6) as c, left(b, 2) as d from core.t",
    "select case when a > 1 then 'qualify' else 'read_parquet(' end as x, date '2026-01-01' as d from core.t",
    "select a from core.t -- qualify, group by all, concat(a, b)",
]


@pytest.mark.parametrize(("rule", "sql"), BAD)
def test_what_is_not_portable_is_caught_with_its_reason(rule: str, sql: str) -> None:
    assert rule in {finding.rule for finding in check_model("m.sql", sql, sql, RELATIONS)}


@pytest.mark.parametrize("sql", GOOD)
def test_what_is_portable_is_not_caught(sql: str) -> None:
    assert [str(finding) for finding in check_model("m.sql", sql, sql, RELATIONS)] == []


def test_every_rule_has_a_sample_and_a_text() -> None:
    rules = {code.removeprefix("lake.sql_") for code in catalogue() if code.startswith("lake.sql_")}
    assert rules - {"at", "in"} == {rule for rule, _ in BAD}
    assert set(SPECIAL_FUNCTIONS.values()) <= rules


def test_findings_name_file_and_line_chinese_first() -> None:
    raw = "-- 注释\nselect a,\n  {{ band('a') }} as band\nfrom {{ source('core', 't') }}\norder by a\n"
    sql = "-- 注释\nselect a,\n  case when a > 1\n then cast(a * 1.5 as int) end as band\nfrom core.t\norder by a\n"
    found = check_model("models/m.sql", raw, sql, RELATIONS)
    assert {(finding.rule, finding.line) for finding in found} == {("nulls_order", 5), ("fraction", None)}
    first = next(finding for finding in found if finding.line)
    assert str(first).startswith("models/m.sql 第 5 行：排序 a 没有写明空值位置")
    assert "\nmodels/m.sql line 5: " in str(first) and "nulls first or nulls last" in str(first)


def test_lines_of_compiled_sql_are_those_of_the_model() -> None:
    raw = "select\n  a\n{% if is_incremental() %}\n  , cast(a * 1.5 as int) as x\n{% endif %}\nfrom {{ ref('t') }}"
    sql = "select\n  a\n\n  , cast(a * 1.5 as int) as x\n\nfrom core.t"
    assert [(f.rule, f.line) for f in check_model("m.sql", raw, sql, RELATIONS)] == [("fraction", 4)]


def test_engine_functions_may_come_from_macros() -> None:
    raw, sql = "select {{ month_text('a') }} as x from core.t", "select strftime(a, '%Y-%m') as x from core.t"
    assert check_model("m.sql", raw, sql, RELATIONS) == []


@pytest.mark.long
def test_the_models_of_the_project_are_portable(tmp_path: Path) -> None:
    files = generated(load(REPOSITORY / "data_contracts"), AS_OF)
    assert [str(finding) for finding in check_project(REPOSITORY / "dbt_project", tmp_path, files)] == []


def test_both_branches_of_an_incremental_model_are_checked(project: Path, tmp_path: Path) -> None:
    name = "models/libraries/lib_court__log.sql"
    incremental = MODELS[name].replace("where _batch >", "where cast(_batch * 0.5 as int) >")
    both = incremental.replace(
        "{% endif %}", "{% else %} where cast(_row as int) + _batch > 1.5 qualify 1 = 1 {% endif %}"
    )
    found = check_project(project, tmp_path, {**MODELS, name: both})
    assert {(finding.path, finding.rule) for finding in found} == {(name, "fraction"), (name, "qualify")}
