-- 各事项各环节用时。Duration of the steps of each service item.
with timed as (
    select
        c.item_code, c.item_name, s.case_step, s.ended_at,
        {{ share(minute_number('s.ended_at') ~ ' - ' ~ minute_number('s.started_at'), '60') }} as hours
    from {{ ref('stg_dsrb__case_step') }} s
    join {{ ref('stg_dsrb__service_case') }} c on c.case_no = s.case_no
)
select
    item_code, item_name, case_step,
    cast(count(*) as bigint) as steps,
    cast(count(ended_at) as bigint) as steps_finished,
    cast(round(round(avg(cast(hours as double)), 9), 2) as double) as mean_hours
from timed
group by item_code, item_name, case_step
