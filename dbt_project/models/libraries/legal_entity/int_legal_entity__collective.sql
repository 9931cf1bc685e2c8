-- 农业农村部门登记的农村集体经济组织，一个统一社会信用代码一行：取最近更新的一条。One row per code: the latest entry.
{{ config(materialized='view') }}

with ranked as (
    select
        *,
        row_number() over (
            partition by uscc order by source_updated_at desc nulls last, subject_no asc nulls last
        ) as place
    from {{ ref('stg_ara__collective') }}
)
select
    uscc, subject_no, entity_name, entity_class, legal_representative, legal_representative_person_id, domicile,
    substr(division_code, 1, 6) as county_code, business_scope, established_on, entity_status, status_date,
    source_updated_at, _batch, _row,
    {{ city_date('source_updated_at') }} as altered_on
from ranked
where place = 1
