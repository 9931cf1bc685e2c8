-- 企业年度报告，一户一年一行：同一年报了几次的取最后一次。One row per entity and year: the last report of the year counts.
with ranked as (
    select
        s.*, a.uscc,
        {{ source_rows({'amr/annual_report': 's', 'amr/enterprise': 'a'}) }} as source_rows,
        row_number() over (
            partition by a.uscc, s.report_year order by s.reported_on desc nulls last, s.report_no desc nulls last
        ) as place
    from {{ ref('stg_amr__annual_report') }} s
    join {{ ref('int_legal_entity__enterprise') }} a on a.subject_no = s.subject_no
)
select
    uscc, report_year, report_no, reported_on, total_assets, total_liabilities, revenue, profit, tax_paid, employees,
    figures_public, source_updated_at, source_rows
from ranked
where place = 1
