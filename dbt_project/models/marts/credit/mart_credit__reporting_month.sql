-- 双公示报送及时率，按决定机关和报送月份。How timely decisions were reported, by authority and month of the report.
-- By the month of the report, not of the decision: who reports late would otherwise change months long told.
with counted as (
    select
        authority_uscc,
        max(authority_name) as authority_name,
        substr(cast(first_reported_on as string), 1, 7) as month,
        cast(count(*) as bigint) as decisions_reported,
        {%- for state, name in (('1', 'reported_in_time'), ('2', 'reported_late'), ('3', 'reporting_untold')) %}
        cast(sum(case when reporting_state = '{{ state }}' then 1 else 0 end) as bigint) as {{ name }}
        {{- ',' if not loop.last }}
        {%- endfor %}
    from {{ ref('lib_credit__reporting') }}
    group by authority_uscc, substr(cast(first_reported_on as string), 1, 7)
)
select
    authority_uscc, authority_name, month, decisions_reported, reported_in_time, reported_late, reporting_untold,
    cast(reported_in_time + reported_late as bigint) as reporting_told,
    cast({{ share('reported_in_time', 'reported_in_time + reported_late') }} as double) as timely_rate
from counted
