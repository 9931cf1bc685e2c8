-- 规划指标，一项一行。One row per indicator of the plan.
select
    indicator_code, direction, indicator_name, unit, plan_id, owner, numerator_definition, denominator_definition, numerator_source, missing_source,
    _batch, _row
from {{ source('core', 'dsrb__plan_indicator') }}
