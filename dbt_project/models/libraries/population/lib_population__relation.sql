-- 亲属关系，一对人一行，双方各一行：有效婚姻、出生医学证明、户籍登记与户主关系，以及由户籍登记可以确定的同户成员关系。
-- One row per person and relative, in both directions: what holds of all that is said of kinship. What was refused, and
-- why, is in lib_population__relation_conflict.
select person_id, related_person_id, person_relation, relation_evidence, since, source_rows
from {{ ref('int_population__kin') }}
where verdict = 'holds'
