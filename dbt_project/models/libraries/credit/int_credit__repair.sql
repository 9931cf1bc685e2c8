-- 准予的信用修复，一项记录一行：取最早终止公示的一次。One row per repaired record: the grant that ends publicity first.
{{ config(materialized='view') }}

with ranked as (
    select
        *,
        row_number() over (
            partition by repair_target, repaired_record_no order by withdrawn_on asc nulls last, repair_no asc nulls last
        ) as place
    from {{ ref('stg_drc__credit_repair') }}
    where repair_result = '1'
)
select repair_target, repaired_record_no, repair_no, withdrawn_on, _batch, _row
from ranked
where place = 1
