-- 流动人口登记，一行一条登记。One row per registration.
select
    record_no, id_number, name, sex, residence_permit_no, origin_county, origin_address, division_code,
    residence_address, mobile, registered_on, cancelled_on, floating_status, source_updated_at,
    {{ linked_person_of('r.person_id') }} as person_id,
    case when k.why = 'shared' then 1 else 0 end as number_shared,
    _batch,
    _row
from {{ source('core', 'psb__floating_person') }} r
{{ join_linked_person('psb/floating_person', 'r.record_no', 'r.person_id') }}
