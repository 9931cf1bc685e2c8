-- 县区指标目录，一项一行。One row per indicator of counties.
select
    indicator_code, indicator_name, indicator_name_en, unit, numerator_definition, denominator_definition,
    _batch, _row
from {{ source('core', 'dsrb__county_indicator') }}
