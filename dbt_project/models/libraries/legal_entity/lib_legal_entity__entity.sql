-- 法人和其他市场主体，一个统一社会信用代码一行；登记信息以市监为准。
-- One row per unified social credit code; who registers market entities says what they are.
{% set sources = {
    'amr/enterprise': 'a', 'dsrb/e_licence': 'l', 'drc/permit': 'p', 'drc/penalty': 'c',
} %}

with entity as (
    select
        a.*,
        {{ survive('legal_entity/entity', 'entity_name', sources) }} as name_taken,
        {{ survive('legal_entity/entity', 'legal_representative', sources) }} as representative_taken,
        {{ attr_source('legal_entity/entity', sources) }} as attr_source,
        {{ source_rows(sources) }} as source_rows
    from {{ ref('int_legal_entity__enterprise') }} a
    left join {{ ref('int_legal_entity__licence') }} l on l.uscc = a.uscc
    left join {{ ref('int_legal_entity__permit') }} p on p.uscc = a.uscc
    left join {{ ref('int_legal_entity__penalty') }} c on c.uscc = a.uscc
)
select
    e.uscc, e.subject_no,
    e.name_taken as entity_name,
    e.entity_type, e.entity_status, e.status_date, e.established_on, e.approval_date, e.registered_capital, e.currency,
    e.industry_code, e.registration_authority, e.county_code,
    county.division_name as county_name,
    e.domicile,
    e.representative_taken as legal_representative,
    e.legal_representative_person_id, e.business_scope, e.term_from, e.term_to, e.source_updated_at, e.attr_source,
    e.source_rows
from entity e
left join {{ ref('lib_geography__division') }} county on county.code = e.county_code
