-- 规划目标，一项指标一年一行。One row per indicator and year.
select
    indicator_code, target_year, target_text, target_kind, comparison, target_value,
    _batch, _row
from {{ source('core', 'dsrb__plan_target') }}
