-- 各乡镇（街道）每日人口，按人口状态；当日重算时替换当日。逐日保留，过去各日是当日所知。
-- Persons of the library by town and residence status on each day: who lives here without being registered counts where
-- they live, all others where they are registered. A day stays as it was known then.
{{ config(incremental_strategy='replace_partition', partition_by=['as_of']) }}
with placed as (
    select
        substr(case p.residence_status when '3' then p.residence_division else p.division_code end, 1, 9) as town_code,
        p.residence_status
    from {{ ref('lib_population__person') }} p
)
select
    county.code as county_code,
    county.division_name as county_name,
    p.town_code,
    town.division_name as town_name,
    p.residence_status,
    cast(count(*) as bigint) as persons,
    e.as_of
from placed p
join {{ ref('lib_geography__division') }} town on town.code = p.town_code
join {{ ref('lib_geography__division') }} county on county.code = substr(p.town_code, 1, 6)
cross join {{ source('lake', 'edition') }} e
group by county.code, county.division_name, p.town_code, town.division_name, p.residence_status, e.as_of
