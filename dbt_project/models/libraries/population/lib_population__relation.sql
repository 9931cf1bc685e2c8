-- 亲属关系，一对人一行，双方各一行：有效婚姻、出生医学证明、户籍登记与户主关系，以及由户籍登记可以确定的同户成员关系。
-- One row per person and relative, in both directions: what holds of all that is said of kinship. What was refused, and
-- why, is in lib_population__relation_conflict.
{{ config(key='person_id', tied=kin_ties()) }}
select
    {{ of_side('person_id', 'related_person_id') }} as person_id,
    {{ of_side('related_person_id', 'person_id') }} as related_person_id,
    {{ of_side('person_relation', 'inverse_relation') }} as person_relation,
    c.relation_evidence, c.since, c.source_rows
from {{ both_sides(ref('int_population__kin_claim')) }}
left join {{ ref('int_population__kin_refused') }} r
    on r.first_id = c.person_id and r.second_id = c.related_person_id and r.relation_evidence = c.relation_evidence
where r.first_id is null
