-- 民政登记的社会组织，一个统一社会信用代码一行：取最近更新的一条。One row per code: the latest registration.
{{ config(materialized='view') }}

with ranked as (
    select
        *,
        row_number() over (
            partition by uscc order by source_updated_at desc nulls last, subject_no asc nulls last
        ) as place
    from {{ ref('stg_cab__social_organisation') }}
)
select
    uscc, subject_no, entity_name, entity_class, business_authority, legal_representative,
    legal_representative_person_id, registered_capital, domicile, county_code, business_scope, established_on, valid_to,
    annual_check, entity_status, status_date, source_updated_at, _batch, _row,
    {{ city_date('source_updated_at') }} as altered_on
from ranked
where place = 1
