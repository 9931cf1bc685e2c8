-- 出生医学证明，一行一名新生儿。One row per newborn.
select
    birth_certificate_no, name, sex, born_at, weight_g, institution_name, mother_name, mother_id_number,
    father_name, father_id_number, division_code,
    {{ person_of('r.mother_person_id', 'm') }} as mother_person_id,
    {{ person_of('r.father_person_id', 'f') }} as father_person_id,
    _batch, _row
from {{ source('core', 'hc__birth_certificate') }} r
{{ join_person('r.mother_person_id', 'm') }}
{{ join_person('r.father_person_id', 'f') }}
