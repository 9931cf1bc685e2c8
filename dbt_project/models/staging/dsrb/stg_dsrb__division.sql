-- 行政区划，一行一个区划。One row per division.
select
    code, division_name, division_level, parent_code, _batch, _row
from {{ source('core', 'dsrb__division') }}
