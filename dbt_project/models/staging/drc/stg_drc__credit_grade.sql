-- 信用等级分档，一行一档。One row per grade.
select
    credit_grade, points_minimum, weight_source, confidence, _batch, _row
from {{ source('core', 'drc__credit_grade') }}
