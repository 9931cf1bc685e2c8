-- 居民电子健康档案，一行一份档案。One row per record.
select
    health_record_no, id_number, name, sex, birth_date, division_code, residence_address, mobile, opened_on,
    followed_up_on, hypertension, diabetes, family_doctor, record_status,
    {{ linked_person_of('r.person_id') }} as person_id,
    _batch, _row
from {{ source('core', 'hc__health_record') }} r
{{ join_linked_person('hc/health_record', 'r.health_record_no', 'r.person_id') }}
