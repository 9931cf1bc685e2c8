-- 宏观经济指标数值，一次发布的一个数一行，历次修订都保留；统计时点之日才发布或者尚未发布的不在其中。
-- One row per published value; every revision stays. What was known on a day is what was published by then and not
-- replaced by then: known_on(). What is delivered ahead of its publication is embargoed, and so is the fact that a figure
-- will be replaced: only what was out before the day of the edition began is here, for an edition has no hour.
with released as (
    select o.*
    from {{ ref('stg_sb__macro_observation') }} o
    cross join {{ source('lake', 'edition') }} e
    where {{ city_date('o.published_at') }} < e.as_of
),
vintage as (
    select
        *,
        lead(published_at) over (
            partition by series_code, area_code, period order by revision_no nulls last
        ) as replaced_at,
        row_number() over (
            partition by series_code, area_code, period order by revision_no desc nulls last
        ) as from_last
    from released
)
select
    v.series_code, s.series_name, v.area_code, v.period, s.frequency, v.series_value, v.figure_stage, v.yoy, v.ytd,
    s.series_unit, v.revision_no, v.published_at, v.replaced_at,
    v.from_last = 1 as is_latest,
    {{ source_rows({'sb/macro_observation': 'v', 'sb/macro_series': 's'}) }} as source_rows
from vintage v
left join {{ ref('stg_sb__macro_series') }} s on s.series_code = v.series_code
