-- 户籍登记中的自然人，一人一行：在册取最近更新的一条，已离册取离册前最后一条。离册者不再属于任何一户。
-- One row per person of the household register: of several records the latest; those who left belong to no household.
-- Who left it and now has a floating registration in force is a person from elsewhere, and not in this view.
{{ config(materialized='view') }}

with listed as (
    select *, 1 as registered from {{ ref('stg_psb__household_person') }}
    union all
    select l.*, 0 as registered
    from {{ ref('stg_psb__household_person_left') }} l
    left join {{ ref('int_population__floating') }} f on f.person_id = l.person_id and f.floating_status = '1'
    where f.person_id is null
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
    case when registered = 1 then division_code end as residence_division,
    case when registered = 1 then address end as residence_address,
    _batch, _row
from ranked
where place = 1
