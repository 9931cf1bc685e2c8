-- 婚姻登记事件，一行一次登记。One row per registration event.
select
    marriage_registration_no, marriage_registration_type, male_name, male_id_number, female_name, female_id_number,
    male_status_before, female_status_before, registered_on, county_code, source_updated_at,
    {{ person_of('r.male_person_id', 'm') }} as male_person_id,
    {{ person_of('r.female_person_id', 'f') }} as female_person_id,
    _batch, _row
from {{ source('core', 'cab__marriage') }} r
{{ join_person('r.male_person_id', 'm') }}
{{ join_person('r.female_person_id', 'f') }}
