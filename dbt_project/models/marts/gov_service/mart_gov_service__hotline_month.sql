-- 各县区每月 12345 热线工单，按一级诉求类别。Orders of the hotline by county, class and month of the call.
with handled as (
    select
        substr(o.division_code, 1, 6) as county_code,
        substr(o.hotline_type, 1, 2) as hotline_class,
        substr(cast({{ city_date('o.called_at') }} as string), 1, 7) as month,
        o.finished_at, o.repeat_of, o.caller_satisfied,
        coalesce(o.finished_at <= o.due_at, false) as on_time,
        coalesce(o.finished_at > o.due_at, {{ city_date('o.due_at') }} < e.as_of) as overdue
    from {{ ref('stg_dsrb__hotline_order') }} o
    cross join {{ source('lake', 'edition') }} e
)
select
    h.county_code,
    county.division_name as county_name,
    h.hotline_class, h.month,
    cast(count(*) as bigint) as orders,
    cast(count(h.finished_at) as bigint) as orders_finished,
    cast(sum(case when h.on_time then 1 else 0 end) as bigint) as orders_on_time,
    cast(sum(case when h.overdue then 1 else 0 end) as bigint) as orders_overdue,
    cast(count(h.repeat_of) as bigint) as orders_repeated,
    cast(count(h.caller_satisfied) as bigint) as orders_asked,
    cast(sum(case when h.caller_satisfied = '1' then 1 else 0 end) as bigint) as orders_satisfied
from handled h
left join {{ ref('lib_geography__division') }} county on county.code = h.county_code
group by h.county_code, county.division_name, h.hotline_class, h.month
