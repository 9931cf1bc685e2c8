-- 办件，一件一行，含是否按时。One row per case, with whether it was finished on time.
select
    c.case_no, c.item_code, c.item_name, c.applicant_type, c.applicant_id, c.authority_uscc, c.department_name,
    c.county_code,
    county.division_name as county_name,
    c.service_channel, c.accepted_at, c.promised_days, c.due_at, c.finished_at, c.case_result, c.shared_licences,
    c.visits,
    case
        when c.finished_at is not null then c.finished_at <= c.due_at
        when {{ city_date('c.due_at') }} < e.as_of then false
    end as on_time,
    coalesce(c.finished_at > c.due_at, {{ city_date('c.due_at') }} < e.as_of) as overdue,
    e.as_of,
    {{ source_rows({'dsrb/service_case': 'c'}) }} as source_rows
from {{ ref('stg_dsrb__service_case') }} c
cross join {{ source('lake', 'edition') }} e
left join {{ ref('lib_geography__division') }} county on county.code = c.county_code
