-- 各县区各部门每日受理办件的办理情况。Cases by county, department and day of acceptance.
select
    county_code, county_name, department_name,
    {{ city_date('accepted_at') }} as day,
    cast(count(*) as bigint) as cases_accepted,
    cast(count(finished_at) as bigint) as cases_finished,
    cast(sum(case when on_time and finished_at is not null then 1 else 0 end) as bigint) as cases_on_time,
    cast(sum(case when overdue then 1 else 0 end) as bigint) as cases_overdue
from {{ ref('mart_gov_service__case') }}
group by county_code, county_name, department_name, {{ city_date('accepted_at') }}
