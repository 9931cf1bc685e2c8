-- 参保人，一人一行：先取参保缴费的，再取最近经办的。One row per insured person: paying first, then the latest handled.
{{ config(materialized='view') }}

select person_id, name, mobile, _batch, _row
from {{ first_of_each(
    ref('stg_hrssb__insurance'), 'person_id',
    'insured_status asc nulls last, handled_at desc nulls last, insurance_type asc nulls last, '
    ~ 'insurance_no asc nulls last'
) }} r
