-- 户籍登记中的自然人，一人一行：在册取最近更新的一条，已离册取离册前最后一条。注销者（死亡、迁出）即使仍在表中也已离册。
-- One row per person of the household register: of several records the latest; those who left belong to no household.
-- A record that is marked as cancelled has left the register, whether it still stands in the table or not. Who left it
-- alive and now has a floating registration in force is a person from elsewhere, and not in this view.
{{ config(materialized='view') }}

with record as (
    select *, case when cancelled = '1' then 0 else 1 end as registered from {{ ref('stg_psb__household_person') }}
    union all
    select *, 0 as registered from {{ ref('stg_psb__household_person_left') }}
),
listed as (
    select r.*
    from record r
    left join {{ ref('int_population__floating') }} f on f.person_id = r.person_id and f.floating_status = '1'
    where r.registered = 1 or r.died_on is not null or f.person_id is null
),
ranked as (
    select
        *,
        row_number() over (
            partition by person_id
            order by registered desc nulls last, source_updated_at desc nulls last, record_no asc nulls last
        ) as place
    from listed
)
select
    person_id, id_number, name, sex, ethnicity, birth_date, registered,
    case when registered = 1 then household_no end as household_no,
    case when registered = 1 then household_relation end as household_relation,
    division_code, address, education, marital_status, mobile, source_updated_at,
    case when registered = 0 then died_on end as died_on,
    case when registered = 0 then moved_out_on end as moved_out_on,
    case when registered = 1 then division_code end as residence_division,
    case when registered = 1 then address end as residence_address,
    _batch, _row
from ranked
where place = 1
