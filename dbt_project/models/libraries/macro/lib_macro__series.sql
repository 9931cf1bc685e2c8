-- 宏观经济指标目录，一行一项指标。One row per series.
select
    series_code, series_name, series_name_en, series_unit, frequency, series_scope, definition, series_kind, base_period,
    seasonally_adjusted, growth_basis, source_department,
    {{ source_rows({'sb/macro_series': 's'}) }} as source_rows
from {{ ref('stg_sb__macro_series') }} s
