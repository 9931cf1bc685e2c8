-- 有活动健康档案的人，一人一行：取最近随访的一份。One row per person with an active record: the latest followed up.
-- `said_on`：最近一次核对的日期 / the day on which somebody last looked.
{{ config(materialized='view') }}

select
    person_id, name, sex, birth_date, mobile, division_code as residence_division, residence_address,
    coalesce(followed_up_on, opened_on) as said_on,
    _batch, _row
from {{ first_of_each(
    ref('stg_hc__health_record'), 'person_id',
    'followed_up_on desc nulls last, opened_on desc nulls last, health_record_no asc nulls last',
    where="record_status = '1'"
) }} r
