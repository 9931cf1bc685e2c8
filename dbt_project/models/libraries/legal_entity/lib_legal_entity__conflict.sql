-- 登记、税务、证照、许可、处罚说法不一的主体信息，一项一行；全角半角括号不算不一。
-- One row per entity, field and department that says otherwise than a more trusted one; the width of brackets is no
-- disagreement. Nor is the way in which an entity ended; that it moved away says neither. What a declaration or a decision
-- said before the register was last altered was right then, so it disagrees with nobody.
{% set sources = {
    'amr/enterprise': 'a', 'cab/social_organisation': 's', 'sto/institution': 'i', 'ara/collective': 'r',
    'txb/taxpayer': 't', 'dsrb/e_licence': 'l', 'drc/permit': 'p', 'drc/penalty': 'c',
} %}
{% set found = disagreements(
    'legal_entity/entity', sources, ['entity_name', 'legal_representative', 'entity_status'],
    same={
        'entity_name': "replace(replace(?, '（', '('), '）', ')')",
        'entity_status': "case when ? in ('2', '3', '5') then '3' when ? = '1' then '1' end",
    },
    unless=said_before(['a', 's', 'i', 'r'])) %}
with conflict as (
    select
        b.uscc,
        k.conflict_field,
        {{ of_disagreement(found, 'value_kept') }} as value_kept,
        {{ of_disagreement(found, 'value_other') }} as value_other,
        {{ of_disagreement(found, 'source_kept') }} as source_kept,
        k.source_other,
        {{ of_disagreement(found, 'row_kept') }} as row_kept,
        {{ of_disagreement(found, 'row_other') }} as row_other
    from {{ ref('int_legal_entity__code') }} b
    left join {{ ref('int_legal_entity__enterprise') }} a on a.uscc = b.uscc
    left join {{ ref('int_legal_entity__social_organisation') }} s on s.uscc = b.uscc
    left join {{ ref('int_legal_entity__institution') }} i on i.uscc = b.uscc
    left join {{ ref('int_legal_entity__collective') }} r on r.uscc = b.uscc
    left join {{ ref('int_legal_entity__taxpayer') }} t on t.uscc = b.uscc
    left join {{ ref('int_legal_entity__licence') }} l on l.uscc = b.uscc
    left join {{ ref('int_legal_entity__permit') }} p on p.uscc = b.uscc
    left join {{ ref('int_legal_entity__penalty') }} c on c.uscc = b.uscc
    cross join {{ disagreement_list(found) }}
    where {{ is_disagreement(found) }}
)
select
    uscc, conflict_field, value_kept, value_other, source_kept, source_other,
    '{"' || source_kept || '":"' || row_kept || '","' || source_other || '":"' || row_other || '"}' as source_rows
from conflict
