-- 准予的信用修复，一个主体的一项记录一行：取最早终止公示的一次。
-- One row per repaired record and subject that the repairs tell of it: the grant that ends publicity first. Both are told,
-- so that a mistyped number ends no publicity of somebody else.
{{ config(materialized='view') }}

with ranked as (
    select
        *,
        row_number() over (
            partition by repair_target, repaired_record_no, uscc
            order by withdrawn_on asc nulls last, repair_no asc nulls last
        ) as place
    from {{ ref('stg_drc__credit_repair') }}
    where repair_result = '1'
)
select repair_target, repaired_record_no, uscc, repair_no, withdrawn_on, _batch, _row
from ranked
where place = 1
