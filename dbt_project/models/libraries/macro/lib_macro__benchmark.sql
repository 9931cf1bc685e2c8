-- 全省和全国的指标数值，一次发布的一个数一行；与本市数值同样只含已发布的。
-- One row per published value of the province or the nation; like the city's own, only what was out before the day began.
with released as (
    select b.*
    from {{ ref('stg_sb__macro_benchmark') }} b
    cross join {{ source('lake', 'edition') }} e
    where {{ city_date('b.published_at') }} < e.as_of
),
vintage as (
    select
        *,
        row_number() over (
            partition by series_code, area_code, period order by revision_no desc nulls last
        ) as from_last
    from released
)
select
    v.series_code, s.series_name, v.area_code, v.period, v.series_value, s.series_unit, v.revision_no, v.published_at,
    v.from_last = 1 as is_latest,
    v.data_note,
    {{ source_rows({'sb/macro_benchmark': 'v', 'sb/macro_series': 's'}) }} as source_rows
from vintage v
left join {{ ref('stg_sb__macro_series') }} s on s.series_code = v.series_code
