-- 行政处罚决定中写明的主体，一个统一社会信用代码一行：取最近一项决定。One row per code: what the latest penalty says.
{{ config(materialized='view') }}

with ranked as (
    select
        *,
        row_number() over (
            partition by uscc
            order by decided_on desc nulls last, source_updated_at desc nulls last, credit_record_no asc nulls last
        ) as place
    from {{ ref('stg_drc__penalty') }}
    where uscc is not null and document_status = '1'
)
select uscc, subject_name as entity_name, legal_representative, decided_on, _batch, _row
from ranked
where place = 1
