-- 企业年度报告，一户一年一行。One row per firm and year.
select
    report_no, subject_no, report_year, reported_on, total_assets, total_liabilities, revenue, profit, tax_paid,
    employees, figures_public, source_updated_at, _batch, _row
from {{ source('core', 'amr__annual_report') }}
