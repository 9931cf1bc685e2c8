-- 市监登记的市场主体，一个统一社会信用代码一行：取最近更新的一条。One row per code: the latest registration.
{{ config(materialized='view') }}

with ranked as (
    select
        *,
        row_number() over (
            partition by uscc order by source_updated_at desc nulls last, subject_no asc nulls last
        ) as place
    from {{ ref('stg_amr__enterprise') }}
)
select
    uscc, subject_no, entity_name, entity_type, entity_status, status_date, established_on, approval_date,
    registered_capital, currency, industry_code, registration_authority, county_code, domicile, legal_representative,
    legal_representative_person_id, business_scope, term_from, term_to, superior_uscc,
    registration_number, paid_capital, revocation_reason, source_updated_at, _batch, _row,
    coalesce(approval_date, {{ city_date('source_updated_at') }}) as altered_on
from ranked
where place = 1
