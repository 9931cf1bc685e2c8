-- 各县区每月城市管理案件，按大类。Cases of urban management by county, class and month of the report.
with handled as (
    select
        substr(c.grid_code, 1, 6) as county_code,
        c.urban_case_class,
        substr(cast({{ city_date('c.reported_at') }} as string), 1, 7) as month,
        c.closed_at, c.rework,
        coalesce(c.finished_at <= c.due_at, false) as on_time,
        coalesce(c.finished_at > c.due_at, {{ city_date('c.due_at') }} < e.as_of) as overdue
    from {{ ref('stg_umb__urban_case') }} c
    cross join {{ source('lake', 'edition') }} e
)
select
    h.county_code,
    county.division_name as county_name,
    h.urban_case_class, h.month,
    cast(count(*) as bigint) as cases_reported,
    cast(count(h.closed_at) as bigint) as cases_closed,
    cast(sum(case when h.on_time then 1 else 0 end) as bigint) as cases_on_time,
    cast(sum(case when h.overdue then 1 else 0 end) as bigint) as cases_overdue,
    cast(sum(case when h.rework > 0 then 1 else 0 end) as bigint) as cases_reworked
from handled h
left join {{ ref('lib_geography__division') }} county on county.code = h.county_code
group by h.county_code, county.division_name, h.urban_case_class, h.month
