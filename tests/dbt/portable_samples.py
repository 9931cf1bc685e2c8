"""SQL that must give the same values on every engine: the macros of macros/portable and every function models may use.

Belongs here: model texts. tests/dbt/test_portable.py runs them on DuckDB, tests/slow/test_sail.py on both engines.
"""

AGES = """
select birth, as_of, {{ age_years('birth', 'as_of') }} as age,
    {{ age_band(age_years('birth', 'as_of')) }} as band from (
    select cast('2000-02-29' as date) as birth, cast('2026-02-28' as date) as as_of
    union all select cast('2000-02-29' as date), cast('2026-03-01' as date)
    union all select cast('2000-11-01' as date), cast('2026-11-01' as date)
    union all select cast('2000-11-02' as date), cast('2026-11-01' as date)
    union all select cast('2026-11-01' as date), cast('2026-11-01' as date)
    union all select cast('1926-11-01' as date), cast('2026-11-01' as date)
    union all select cast('2027-11-01' as date), cast('2026-11-01' as date)
    union all select cast(null as date), cast('2026-11-01' as date)
) t
"""

ROWS = """
with r (k, i, x, m, s, d) as (
    values (1, 1, cast(2.5 as double), cast(1.25 as decimal(12, 2)), ' 六安 ', cast('2024-02-29' as date)),
        (2, -7, cast(-2.5 as double), cast(-1.25 as decimal(12, 2)), 'aXbX', cast('2026-12-31' as date)),
        (3, null, null, null, null, null),
        (4, 0, cast(0.4 as double), cast(100 as decimal(12, 2)), '', cast('1999-01-01' as date))
)
"""

# Every expression is computed for each row above; every function of portable_tokens.FUNCTIONS stands in one.
PER_ROW = [
    "abs(i)", "abs(x)", "cast(ceil(x) as bigint)", "cast(floor(x) as bigint)", "cast(floor(cast(i as int) / 2) as int)",
    "cast(round(x) as bigint)", "{{ day_before('d') }}", "least(d, cast(null as date))",
    "cast(round(m, 1) as decimal(12, 2))", "cast(round(cast(i as double) / 2) as bigint)",
    "coalesce(i, 5)",
    "concat_ws('-', s, null, 'z')", "cast(date_trunc('month', d) as date)", "cast(date_trunc('year', d) as date)",
    "cast(year(d) as int)", "cast(month(d) as int)", "cast(day(d) as int)", "cast(extract(year from d) as int)",
    "greatest(i, 0)", "least(i, 0)", "greatest(i, null)", "left(s, 2)", "right(s, 2)", "cast(length(s) as int)",
    "lower(s)", "upper(s)", "trim(s)", "ltrim(s)", "rtrim(s)", "lpad(s, 6, '*')", "rpad(s, 2, '*')", "nullif(i, 0)",
    "replace(s, 'X', 'yy')", "cast(round(sqrt(abs(x)), 9) as double)", "substr(s, 2, 2)", "substring(s, 1, 1)",
    "try_cast(s as double)",
    "try_cast('2026-02-30' as date)", "s || '-' || s", "cast(i % 3 as int)", "cast(d + interval '1' month as date)",
    "cast(cast(m as double) / 3 as double)",
    "cast(cast(d as timestamp) + interval '1' day as date)", "cast(m * 3 as decimal(12, 2))", "i::string",
    "cast(row_number() over (order by i nulls first) as int)", "cast(rank() over (order by i > 0 nulls last) as int)",
    "cast(dense_rank() over (order by i desc nulls last, k nulls last) as int)", "lag(s) over (order by k nulls last)",
    "lead(i, 2) over (order by k nulls last)", "first_value(s) over (order by k nulls last)",
    "last_value(k) over (order by k nulls last rows between unbounded preceding and unbounded following)",
    "cast(sum(i) over (order by cast(d as timestamp) nulls last range between interval '400' day preceding and "
    "current row) as bigint)", "case when s like '%X%' then 'x' when i in (0, 1) then 'i' end", "i is distinct from 0",
]  # fmt: skip
AGGREGATES = [
    "count(*)", "count(i)", "count(distinct i)", "cast(sum(i) as bigint)", "cast(sum(m) as decimal(18, 2))", "min(s)",
    "max(d)", "cast(avg(cast(i as double)) as double)", "cast(avg(cast(m as double)) as double)",
    "bool_and(i < 5)", "bool_or(i > 0)", "min(x)",
    
    "count(*) filter (where i > 0)", "cast(sum(1) as bigint)",
]  # fmt: skip

FUNCTIONS = ROWS + "select k, " + ", ".join(f"{sql} as c{n}" for n, sql in enumerate(PER_ROW)) + " from r"
SUMS = ROWS + "select " + ", ".join(f"{sql} as c{n}" for n, sql in enumerate(AGGREGATES)) + " from r"
