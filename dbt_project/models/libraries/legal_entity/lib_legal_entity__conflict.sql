-- 证照、许可、处罚所写与登记不一的主体信息，一项一行；全角半角括号不算不一。
-- One row per entity, field and department that says otherwise than the registration; the width of brackets is no
-- disagreement.
{% set sources = {
    'amr/enterprise': 'a', 'dsrb/e_licence': 'l', 'drc/permit': 'p', 'drc/penalty': 'c',
} %}
{% set found = disagreements(
    'legal_entity/entity', sources, ['entity_name', 'legal_representative'],
    same={'entity_name': "replace(replace(?, '（', '('), '）', ')')"}) %}
with conflict as (
    select
        a.uscc,
        k.conflict_field,
        {{ of_disagreement(found, 'value_kept') }} as value_kept,
        {{ of_disagreement(found, 'value_other') }} as value_other,
        {{ of_disagreement(found, 'source_kept') }} as source_kept,
        k.source_other,
        {{ of_disagreement(found, 'row_kept') }} as row_kept,
        {{ of_disagreement(found, 'row_other') }} as row_other
    from {{ ref('int_legal_entity__enterprise') }} a
    left join {{ ref('int_legal_entity__licence') }} l on l.uscc = a.uscc
    left join {{ ref('int_legal_entity__permit') }} p on p.uscc = a.uscc
    left join {{ ref('int_legal_entity__penalty') }} c on c.uscc = a.uscc
    cross join {{ disagreement_list(found) }}
    where {{ is_disagreement(found) }}
)
select
    uscc, conflict_field, value_kept, value_other, source_kept, source_other,
    '{"' || source_kept || '":"' || row_kept || '","' || source_other || '":"' || row_other || '"}' as source_rows
from conflict
