-- 编办登记的机关、事业单位和群团，一个统一社会信用代码一行：取最近更新的一条。One row per code: the latest entry.
{{ config(materialized='view') }}

with ranked as (
    select
        *,
        row_number() over (
            partition by uscc order by source_updated_at desc nulls last, subject_no asc nulls last
        ) as place
    from {{ ref('stg_sto__institution') }}
)
select
    uscc, subject_no, entity_name, entity_class, tenet as business_scope, business_authority, institution_level, funding,
    headcount, legal_representative, legal_representative_person_id, domicile, county_code, established_on, valid_to,
    entity_status, status_date, source_updated_at, _batch, _row,
    {{ city_date('source_updated_at') }} as altered_on
from ranked
where place = 1
