-- 已离开户籍登记的记录（迁出、注销、死亡），取离开前最后一条。
-- One row per registration record that the register no longer has: the last one before it was dropped.
with left_register as (
    select record_no, max(_batch) as last_batch
    from {{ source('core', 'psb__household_person__log') }}
    where _op = 'D'
    group by record_no
),
ranked as (
    select
        l.*,
        d.last_batch,
        row_number() over (partition by l.record_no order by l._batch desc nulls last) as place
    from {{ source('core', 'psb__household_person__log') }} l
    join left_register d on d.record_no = l.record_no
    where l._op <> 'D'
)
select
    record_no, id_number, name, sex, ethnicity, birth_date, household_no, household_relation, division_code,
    address, education, marital_status, mobile, birth_place, native_place, registration_kind, military_status,
    police_station, residents_group, moved_out_on, move_out_kind, died_on, death_kind, cancelled_on, cancelled,
    former_name, source_updated_at,
    {{ linked_person_of('r.person_id') }} as person_id,
    case when k.why = 'shared' then 1 else 0 end as number_shared,
    _batch, _row
from ranked r
{{ join_linked_person('psb/household_person', 'r.record_no', 'r.person_id') }}
where place = 1 and _batch < last_batch
