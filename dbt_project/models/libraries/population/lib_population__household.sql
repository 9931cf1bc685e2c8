-- 家庭户，一户一行：户主、在册人数、在世人数；所在区划取户主的，无户主取年长者的；在世的人优先，死者不作户主。
-- One row per household of the register. Its place is that of the head, or of the eldest where no head is recorded. The
-- living come first: a head who died by any register is no head, and the household has none until the household office
-- names the next; who that will be is the family's to say, so nobody is taken for it.
{{ config(key='household_no') }}
with ranked as (
    select
        *,
        count(*) over (partition by household_no) as members,
        count(case when residence_status <> '5' then 1 end) over (partition by household_no) as living_members,
        row_number() over (
            partition by household_no
            order by case residence_status when '5' then 2 else 1 end asc nulls last,
                case household_relation when '02' then 1 when '01' then 2 else 3 end asc nulls last,
                birth_date asc nulls last, person_id asc nulls last
        ) as place
    from {{ ref('lib_population__person') }}
    where household_no is not null
)
select
    household_no,
    case when household_relation in ('01', '02') and residence_status <> '5' then person_id end as head_person_id,
    cast(members as bigint) as members,
    cast(living_members as bigint) as living_members,
    division_code, county_code, county_name, town_code, town_name, source_rows
from ranked
where place = 1
