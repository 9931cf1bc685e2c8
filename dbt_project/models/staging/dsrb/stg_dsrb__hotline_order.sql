-- 12345 热线工单，一行一单，不含内容。One row per order of the hotline, without what was said.
select
    order_no, called_at, hotline_channel, caller_mobile, anonymous, confidential, division_code, incident_address,
    hotline_type, department_name, dispatched_at, due_at, returned_at, finished_at, caller_satisfied, repeat_of,
    urgent, source_updated_at, _batch, _row
from {{ source('core', 'dsrb__hotline_order') }}
