-- 准予的信用修复，一个主体的一项记录一行：取最早终止公示的一次。主体是法人的统一社会信用代码，或者自然人的人员标识。
-- One row per repaired record and subject that the repairs tell of it: the grant that ends publicity first. Both are told,
-- so that a mistyped number ends no publicity of somebody else. A subject is a code or, of natural persons, a person.
{{ config(materialized='view') }}

with granted as (
    select r.*, {{ credit_subject('r') }} as subject
    from {{ ref('stg_drc__credit_repair') }} r
    where r.repair_result = '1'
),
ranked as (
    select
        *,
        row_number() over (
            partition by repair_target, repaired_record_no, subject
            order by withdrawn_on asc nulls last, repair_no asc nulls last
        ) as place
    from granted
)
select repair_target, repaired_record_no, subject, repair_no, withdrawn_on, _batch, _row
from ranked
where place = 1
