-- 涉农信用村，一村一行。One row per village.
select
    division_code, village_name, village_credit_grade, households_rated, households_granted, credit_granted, rated_on,
    _batch, _row
from {{ source('core', 'ara__village_credit') }}
