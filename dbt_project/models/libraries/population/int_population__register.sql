-- 户籍登记中的自然人，一人一行：在册取最近更新的一条，已离册取离册前最后一条。注销者（死亡、迁出）即使仍在表中也已离册。
-- 一个号码登记在两人名下时各成一人，号码只留给其中一人，另一人的号码待核、为空。
-- One row per person of the household register: of several records the latest; those who left belong to no household.
-- A record that stands counts before one that left, unless that one tells of the death later than the other was written:
-- who is registered twice and dies is dead, and who is registered anew after a death cancelled by mistake lives.
-- Who bears the number of somebody else is a person of its own, whose number is not known.
{{ config(materialized='view') }}

select
    person_id,
    case when number_shared = 0 then id_number end as id_number,
    name, nullif(former_name, name) as former_name, sex, ethnicity, birth_date, registered,
    case when registered = 1 then household_no end as household_no,
    case when registered = 1 then household_relation end as household_relation,
    division_code, address, education, marital_status, mobile, birth_place, native_place, source_updated_at,
    case when registered = 1 then registration_kind end as registration_kind,
    military_status,
    case when registered = 1 then police_station end as police_station,
    case when registered = 1 then residents_group end as residents_group,
    case when registered = 0 then died_on end as died_on,
    case when registered = 0 then moved_out_on end as moved_out_on,
    case when registered = 0 then death_kind end as death_kind,
    case when registered = 0 then move_out_kind end as move_out_kind,
    case when registered = 0 then cancelled_on end as cancelled_on,
    case when registered = 1 then division_code end as residence_division,
    case when registered = 1 then address end as residence_address,
    _batch, _row
from {{ first_of_each(
    ref('int_population__register_record'), 'person_id',
    'case when registered = 1 or died_on is not null then 1 else 0 end desc nulls last, '
    ~ 'source_updated_at desc nulls last, registered desc nulls last, record_no asc nulls last'
) }} r
