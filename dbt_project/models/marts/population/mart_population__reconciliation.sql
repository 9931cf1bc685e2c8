-- 人口库与公安户籍日报核对，一镇一日一行：日报人数、库内在册人数、差额。逐日保留。
-- The library held against the household office's own count: what the newest report of each town says, whom the library
-- knows to stand in the register, how many of these are dead by other registers, and the difference. A day stays as it was.
{{ config(incremental_strategy='replace_partition', partition_by=['as_of']) }}
with reported as (
    select
        r.town_code, r.report_day, r.registered_persons, r._batch, r._row,
        row_number() over (
            partition by r.town_code order by r.report_day desc nulls last, r.population_report_no asc nulls last
        ) as place
    from {{ ref('stg_psb__population_report') }} r
),
listed as (
    select
        substr(h.division_code, 1, 9) as town_code,
        cast(count(*) as bigint) as persons_listed,
        cast(sum(case when p.residence_status = '5' then 1 else 0 end) as bigint) as persons_dead_listed
    from {{ ref('int_population__register') }} h
    join {{ ref('lib_population__person') }} p on p.person_id = h.person_id
    where h.registered = 1
    group by substr(h.division_code, 1, 9)
)
select
    county.code as county_code,
    county.division_name as county_name,
    town.code as town_code,
    town.division_name as town_name,
    r.report_day,
    r.registered_persons,
    coalesce(l.persons_listed, 0) as persons_listed,
    coalesce(l.persons_dead_listed, 0) as persons_dead_listed,
    cast(r.registered_persons - coalesce(l.persons_listed, 0) as bigint) as persons_missing,
    cast({{ share('r.registered_persons - coalesce(l.persons_listed, 0)', 'r.registered_persons') }} as double)
        as missing_share,
    e.as_of
from reported r
join {{ ref('lib_geography__division') }} town on town.code = r.town_code
join {{ ref('lib_geography__division') }} county on county.code = substr(r.town_code, 1, 6)
left join listed l on l.town_code = r.town_code
cross join {{ source('lake', 'edition') }} e
where r.place = 1
