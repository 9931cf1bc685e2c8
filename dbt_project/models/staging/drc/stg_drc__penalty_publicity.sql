-- 行政处罚最长公示期，一行一类。One row per kind of penalty: years of publicity where no end is told.
select
    penalty_category, publicity_years, weight_source, confidence, _batch, _row
from {{ source('core', 'drc__penalty_publicity') }}
