-- 基本医疗保险参保现状，一人一行。One row per insured person, as it is now.
select
    medical_no, id_number, medical_insurance_type, county_code, medical_insured_status, insured_from, insured_to,
    source_updated_at,
    {{ person_of('r.person_id') }} as person_id,
    _batch, _row
from {{ source('core', 'hsb__insured') }} r
{{ join_person('r.person_id') }}
