-- 社会保险参保现状，一行一人一险种。One row per person and kind of insurance, as it is now.
select
    change_no, operation, insurance_no, insurance_type, id_number, name, unit_no, unit_name, insured_status,
    enrolled_on, contribution_base, mobile, handled_at,
    {{ person_of('r.person_id') }} as person_id,
    _batch, _row
from {{ source('core', 'hrssb__insurance') }} r
{{ join_person('r.person_id') }}
