-- 公安户籍人口，一行一条登记记录。One row per registration record.
select
    record_no, id_number, name, sex, ethnicity, birth_date, household_no, household_relation, division_code,
    address, education, marital_status, mobile, birth_place, native_place, registration_kind, military_status,
    police_station, residents_group, moved_out_on, move_out_kind, died_on, death_kind, cancelled_on, cancelled,
    former_name, source_updated_at,
    {{ linked_person_of('r.person_id') }} as person_id,
    case when k.why = 'shared' then 1 else 0 end as number_shared,
    _batch, _row
from {{ source('core', 'psb__household_person') }} r
{{ join_linked_person('psb/household_person', 'r.record_no', 'r.person_id') }}
