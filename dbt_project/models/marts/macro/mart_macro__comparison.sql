-- 本市、全省、全国对标，一项指标一期一行：最新一版的数值；比率和指数另有差。省和全国的数是模拟数据。
-- The city beside province and nation, one row per series and period, the latest vintage of each; differences of rates
-- and indices only, for totals of a nation say nothing of a city. The benchmarks' own note says what they are.
with figure as (
    select series_code, area_code, period, series_value, cast(null as string) as data_note
    from {{ ref('lib_macro__observation') }}
    where is_latest and area_code = '341500'
    union all
    select series_code, area_code, period, series_value, data_note
    from {{ ref('lib_macro__benchmark') }}
    where is_latest
),
beside as (
    select
        series_code, period,
        max(case when area_code = '341500' then series_value end) as city_value,
        max(case when area_code = '340000' then series_value end) as province_value,
        max(case when area_code = '000000' then series_value end) as nation_value,
        max(data_note) as data_note
    from figure
    group by series_code, period
)
select
    b.series_code, s.series_name, b.period, s.series_unit, b.city_value, b.province_value, b.nation_value,
    cast(case when s.series_kind in ('rate', 'index') then b.city_value - b.province_value end as double) as gap_province,
    cast(case when s.series_kind in ('rate', 'index') then b.city_value - b.nation_value end as double) as gap_nation,
    b.data_note
from beside b
join {{ ref('lib_macro__series') }} s on s.series_code = b.series_code
where b.city_value is not null and (b.province_value is not null or b.nation_value is not null)
