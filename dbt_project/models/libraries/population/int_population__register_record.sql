-- 户籍登记的每一条记录，含已离册的；标注注销的即使仍在表中也已离册。活着离册、现有有效流动登记的人属外来，不在此列。
-- Every record of the household register, those that left it included. A record that is marked as cancelled has left,
-- whether it still stands in the table or not. Who left alive and now has a floating registration in force is a person
-- from elsewhere, and not in this view.
{{ config(materialized='view') }}

with record as (
    select *, case when cancelled = '1' then 0 else 1 end as registered from {{ ref('stg_psb__household_person') }}
    union all
    select *, 0 as registered from {{ ref('stg_psb__household_person_left') }}
)
select r.*
from record r
left join {{ ref('int_population__floating') }} f on f.person_id = r.person_id and f.floating_status = '1'
where r.registered = 1 or r.died_on is not null or f.person_id is null
