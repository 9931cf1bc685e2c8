-- 宏观经济指标数值，一次发布的一个数一行，历次修订都保留。
-- One row per published value; every revision stays. What was known on a day is what was published by then and not
-- replaced by then: published_at <= day and (replaced_at is null or replaced_at > day).
with vintage as (
    select
        *,
        lead(published_at) over (
            partition by series_code, area_code, period order by revision_no nulls last
        ) as replaced_at,
        row_number() over (
            partition by series_code, area_code, period order by revision_no desc nulls last
        ) as from_last
    from {{ ref('stg_sb__macro_observation') }}
)
select
    v.series_code, s.series_name, v.area_code, v.period, s.frequency, v.series_value, v.yoy, v.ytd, s.series_unit,
    v.revision_no, v.published_at, v.replaced_at,
    v.from_last = 1 as is_latest,
    {{ source_rows({'sb/macro_observation': 'v', 'sb/macro_series': 's'}) }} as source_rows
from vintage v
left join {{ ref('stg_sb__macro_series') }} s on s.series_code = v.series_code
