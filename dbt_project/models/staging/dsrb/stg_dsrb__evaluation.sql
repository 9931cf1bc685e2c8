-- 好差评，一行一次评价。One row per evaluation.
select
    evaluation_no, case_no, service_channel, satisfaction, comment, evaluated_at, rectify_due, rectify_result,
    source_updated_at, _batch, _row
from {{ source('core', 'dsrb__evaluation') }}
