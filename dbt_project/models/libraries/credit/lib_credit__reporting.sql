-- 双公示报送是否及时，一项决定一行：自决定之日的次日起，到数源首次记有该决定之日，按工作日历计的工作日数，不超过时限的为按时。
-- 休息日报送的算作其后的工作日；途经尚未公布安排的年份、结论可能因此不同的，尚不能判定；平台接管来源之日已过时限的
-- （可能在存量中而被拒收过）、首次取到时已撤销或者有异议的（更新时间可能是状态变更的时间）也是。
-- One row per decision: the working days from the day after it until its source first had it, and whether these are within
-- the limit, by what is announced of the years on the way. Of a decision that was late when its source was taken over it
-- is not told: it may have stood in the old stock and been refused; nor of one that was withdrawn or disputed when it was
-- first seen, for its source may have had it before that. `late_reported_on` is that of late reports of the newest month with
-- any and the month before, of which the authorities are told.
with decision as (
    select
        '1' as decision_kind, credit_record_no, decided_on, authority_name, authority_uscc, source_rows
    from {{ ref('lib_credit__permit') }}
    union all
    select
        '2' as decision_kind, credit_record_no, decided_on, authority_name, authority_uscc, source_rows
    from {{ ref('lib_credit__penalty') }}
),
work_year as (
    select * from {{ work_calendar('k') }}
),
counted as (
    select
        d.decision_kind, d.credit_record_no, d.decided_on, d.authority_name, d.authority_uscc, f.first_reported_on,
        f.document_status, l.limit_days,
        since.work_year is not null and f.first_reported_on >= d.decided_on as calendar_reaches,
        {%- for by in ('worked', 'fewest', 'most') %}
        {{ work_days_between('d.decided_on', 'since', 'f.first_reported_on', 'until', by) }} as {{ by }}_days,
        {%- endfor %}
        {{ work_days_between('d.decided_on', 'since', 'f.taken_over_on', 'start') }} as days_before,
        replace(
            concat_ws(
                ',', d.source_rows,
                {{ source_rows({'drc/reporting_limit': 'l'}, {
                    'drc/permit#first': "case when d.decision_kind = '1' then f.report_row end",
                    'drc/penalty#first': "case when d.decision_kind = '2' then f.report_row end",
                }) }}
            ),
            '},{', ','
        ) as source_rows
    from decision d
    join {{ ref('int_credit__first_report') }} f
        on f.decision_kind = d.decision_kind and f.credit_record_no = d.credit_record_no
    join {{ ref('stg_drc__reporting_limit') }} l on l.decision_kind = d.decision_kind
    left join work_year since on since.work_year = year(d.decided_on)
    left join work_year until on until.work_year = year(f.first_reported_on)
    left join work_year start on start.work_year = year(f.taken_over_on)
),
told as (
    select
        *,
        case
            when most_days <= limit_days and calendar_reaches then '1'
            when fewest_days > limit_days and days_before <= limit_days and document_status = '1' then '2'
            else '3'
        end as reporting_state
    from counted
),
newest as (
    select cast(date_trunc('month', max(first_reported_on)) as date) as month from told
)
select
    decision_kind, credit_record_no, decided_on, first_reported_on,
    cast(case when first_reported_on >= decided_on then worked_days end as bigint) as working_days,
    limit_days, reporting_state,
    case
        when reporting_state = '2' and first_reported_on >= cast(month - interval '1' month as date) then first_reported_on
    end as late_reported_on,
    authority_name, authority_uscc, source_rows
from told
cross join newest
