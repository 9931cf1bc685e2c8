-- 省和全国的指标数值，一行一次发布的一个数。One row per published value of province or nation.
select
    series_code, area_code, period, series_value, revision_no, published_at, data_note, _batch, _row
from {{ source('core', 'sb__macro_benchmark') }}
