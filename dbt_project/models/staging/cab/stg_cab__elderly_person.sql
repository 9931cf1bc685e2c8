-- 老年人服务对象，一人一行。One row per elderly person.
select
    elderly_record_no, id_number, name, division_code, care_level, living_alone, age_allowance, benefit_from,
    {{ person_of('r.person_id') }} as person_id,
    _batch, _row
from {{ source('core', 'cab__elderly_person') }} r
{{ join_person('r.person_id') }}
