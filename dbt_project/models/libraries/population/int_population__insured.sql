-- 参保人，一人一行：先取参保缴费的，再取最近经办的。One row per insured person: paying first, then the latest handled.
{{ config(materialized='view') }}

with ranked as (
    select
        *,
        row_number() over (
            partition by person_id
            order by insured_status asc nulls last, handled_at desc nulls last, insurance_type asc nulls last,
                insurance_no asc nulls last
        ) as place
    from {{ ref('stg_hrssb__insurance') }}
)
select person_id, name, mobile, _batch, _row
from ranked
where place = 1
