-- 空气质量分指数限值，一段一行。One row per segment.
select
    pollutant, averaging, iaqi_low, iaqi_high, concentration_low, concentration_high, valid_from, valid_to,
    _batch, _row
from {{ source('core', 'eeb__aqi_breakpoint') }}
