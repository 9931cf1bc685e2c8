-- 法人和其他主体，一个统一社会信用代码一行：市监、民政、编办、农业农村登记的和税务掌握的，注销的也保留。
-- One row per unified social credit code that a register or the tax bureau knows, those that ended included.
{% set sources = {
    'amr/enterprise': 'a', 'cab/social_organisation': 's', 'sto/institution': 'i', 'ara/collective': 'r',
    'txb/taxpayer': 't', 'dsrb/e_licence': 'l', 'drc/permit': 'p', 'drc/penalty': 'c',
} %}
{% set library = 'legal_entity/entity' %}
{# Status and its day, name and number of the head belong together: both are the first register's that has the entity. #}
{% set registers = ['a', 's', 'i', 'r'] %}
{% set unless = said_before(registers) %}

with entity as (
    select
        k.uscc,
        coalesce(a.subject_no, s.subject_no, i.subject_no, r.subject_no) as subject_no,
        {{ survive(library, 'entity_name', sources, unless) }} as entity_name,
        a.entity_type,
        {{ survive(library, 'entity_status', sources, unless) }} as entity_status,
        {{ of_first(registers, 'uscc', 'status_date') }} as status_date,
        {{ survive(library, 'established_on', sources) }} as established_on,
        a.approval_date,
        {{ survive(library, 'registered_capital', sources) }} as registered_capital,
        a.registration_number, a.paid_capital, a.revocation_reason,
        a.currency, a.industry_code, a.registration_authority,
        coalesce(s.business_authority, i.business_authority) as business_authority,
        {{ survive(library, 'county_code', sources) }} as county_code,
        {{ survive(library, 'domicile', sources) }} as domicile,
        {{ survive(library, 'legal_representative', sources, unless) }} as legal_representative,
        {{ of_first(registers, 'uscc', 'legal_representative_person_id') }} as legal_representative_person_id,
        {{ survive(library, 'business_scope', sources) }} as business_scope,
        a.term_from, a.term_to,
        coalesce(s.valid_to, i.valid_to) as valid_to,
        a.superior_uscc as sub_of,
        s.annual_check, i.institution_level, i.funding, i.headcount, t.taxpayer_status, t.tax_credit_level,
        case
            when a.uscc is not null then 'amr/enterprise' when s.uscc is not null then 'cab/social_organisation'
            when i.uscc is not null then 'sto/institution' when r.uscc is not null then 'ara/collective'
        end as register_source,
        {{ survive(library, 'source_updated_at', sources) }} as source_updated_at,
        {{ attr_source(library, sources, unless) }} as attr_source,
        {{ source_rows(sources) }} as source_rows
    from {{ ref('int_legal_entity__code') }} k
    left join {{ ref('int_legal_entity__enterprise') }} a on a.uscc = k.uscc
    left join {{ ref('int_legal_entity__social_organisation') }} s on s.uscc = k.uscc
    left join {{ ref('int_legal_entity__institution') }} i on i.uscc = k.uscc
    left join {{ ref('int_legal_entity__collective') }} r on r.uscc = k.uscc
    left join {{ ref('int_legal_entity__taxpayer') }} t on t.uscc = k.uscc
    left join {{ ref('int_legal_entity__licence') }} l on l.uscc = k.uscc
    left join {{ ref('int_legal_entity__permit') }} p on p.uscc = k.uscc
    left join {{ ref('int_legal_entity__penalty') }} c on c.uscc = k.uscc
),
-- whoever is or was the head of a sole trader; a shop keeps the name of the one who opened it
head as (
    select uscc, legal_representative as head_name from entity
    union all
    select a.uscc, c.value_before as head_name
    from {{ ref('stg_amr__enterprise_change') }} c
    join {{ ref('stg_amr__enterprise') }} a on a.subject_no = c.subject_no
    where c.alteration_item = '法定代表人变更'
),
named_after as (
    select e.uscc
    from entity e
    join head h on h.uscc = e.uscc
    where substr(e.uscc, 1, 2) = '92'
        and (h.head_name is null or e.entity_name like '%' || h.head_name || '%')
    group by e.uscc
)
select
    e.uscc, e.subject_no, e.entity_name,
    case when n.uscc is null then e.entity_name end as public_name,
    substr(e.uscc, 1, 2) as entity_class,
    e.entity_type, e.entity_status, e.status_date, e.established_on, e.approval_date, e.registered_capital, e.currency,
    e.industry_code, e.registration_authority, e.business_authority, e.county_code,
    county.division_name as county_name,
    e.domicile, e.legal_representative, e.legal_representative_person_id, e.business_scope, e.term_from, e.term_to,
    e.valid_to, e.registration_number, e.paid_capital, e.revocation_reason, e.sub_of, e.annual_check, e.institution_level, e.funding, e.headcount, e.taxpayer_status,
    e.tax_credit_level, e.register_source, e.source_updated_at, e.attr_source, e.source_rows
from entity e
left join {{ ref('lib_geography__division') }} county on county.code = e.county_code
left join named_after n on n.uscc = e.uscc
