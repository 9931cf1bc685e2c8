-- 办件环节，一行一个环节。One row per step.
select
    step_no, case_no, case_step, started_at, ended_at, source_updated_at, _batch, _row
from {{ source('core', 'dsrb__case_step') }}
