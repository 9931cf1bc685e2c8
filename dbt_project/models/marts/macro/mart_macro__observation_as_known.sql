-- 某日所知的指标数值：每个月末所知的各期数值，一行一数。
-- What was known on a day: for the last day of every month since 2025, each value that was out by then and not yet replaced.
with month_end as (
    select distinct
        cast(cast(date_trunc('month', {{ city_date('published_at') }}) as date) + interval '1' month as date) as next_month
    from {{ ref('lib_macro__observation') }}
),
vintage as (
    select {{ day_before('m.next_month') }} as vintage_day
    from month_end m
    cross join {{ source('lake', 'edition') }} e
    where {{ day_before('m.next_month') }} < e.as_of and m.next_month > cast('2025-01-01' as date)
)
select
    v.vintage_day, o.series_code, o.series_name, o.area_code, o.period, o.series_value, o.series_unit, o.revision_no,
    o.published_at, o.source_rows
from {{ ref('lib_macro__observation') }} o
join vintage v on {{ known_on('o', 'v.vintage_day') }}
