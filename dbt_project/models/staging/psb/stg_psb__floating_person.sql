-- 流动人口登记，一行一条登记。One row per registration.
select
    record_no, id_number, name, sex, residence_permit_no, origin_county, origin_address, division_code,
    residence_address, mobile, registered_on, cancelled_on, floating_status, source_updated_at,
    {{ person_of('r.person_id') }} as person_id,
    _batch,
    _row
from {{ source('core', 'psb__floating_person') }} r
{{ join_person('r.person_id') }}
