-- 自然人，一人一行；同一身份号码有多条登记时取最近更新的一条。
-- One row per person; of several records with one identity number the latest updated counts.
with ranked as (
    select
        *,
        row_number() over (
            partition by person_id order by source_updated_at desc nulls last, record_no asc nulls last
        ) as place
    from {{ ref('stg_psb__household_person') }}
)
select
    p.person_id, p.id_number, p.name, p.sex, p.ethnicity, p.birth_date, p.household_no, p.household_relation,
    p.division_code,
    county.code as county_code,
    county.division_name as county_name,
    town.code as town_code,
    town.division_name as town_name,
    p.address, p.education, p.marital_status, p.mobile, p.source_updated_at
from ranked p
left join {{ ref('lib_geography__division') }} county on county.code = substr(p.division_code, 1, 6)
left join {{ ref('lib_geography__division') }} town on town.code = substr(p.division_code, 1, 9)
where p.place = 1
