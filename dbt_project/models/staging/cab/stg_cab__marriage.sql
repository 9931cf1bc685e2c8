-- 婚姻登记事件，一行一次登记。One row per registration event.
select
    marriage_registration_no, marriage_registration_type, male_name, male_id_number, female_name, female_id_number,
    male_status_before, female_status_before, registered_on, county_code, source_updated_at, male_person_id,
    female_person_id, _batch, _row
from {{ source('core', 'cab__marriage') }}
