-- 宏观经济指标数值，一行一次发布的一个数。One row per published value.
select
    series_code, area_code, period, series_value, figure_stage, yoy, ytd, revision_no, published_at, _batch, _row
from {{ source('core', 'sb__macro_observation') }}
