-- 各县区各部门每月受理办件的办理情况。Cases by county, department and month of acceptance.
select
    county_code, county_name, department_name,
    substr(cast(day as string), 1, 7) as month,
    cast(sum(cases_accepted) as bigint) as cases_accepted,
    cast(sum(cases_finished) as bigint) as cases_finished,
    cast(sum(cases_on_time) as bigint) as cases_on_time,
    cast(sum(cases_overdue) as bigint) as cases_overdue
from {{ ref('mart_gov_service__case_day') }}
group by county_code, county_name, department_name, substr(cast(day as string), 1, 7)
