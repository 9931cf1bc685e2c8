-- 平台接管之后首次报来的许可和处罚决定，一项一行，取首个版本；接管来源时的第一批是存量，看不出何时报送，不在其中。
-- One row per decision that was first reported since its source was taken over: its first version. The first batch of a
-- source is old stock, of which nobody can tell when it was reported; it goes to the day of its last row.
{{ config(materialized='view') }}

with version as (
    select '1' as decision_kind, credit_record_no, document_status, source_updated_at, _batch, _row
    from {{ source('core', 'drc__permit__log') }}
    union all
    select '2' as decision_kind, credit_record_no, document_status, source_updated_at, _batch, _row
    from {{ source('core', 'drc__penalty__log') }}
),
began as (
    select decision_kind, min(_batch) as first_batch
    from version
    group by decision_kind
),
taken_over as (
    select b.decision_kind, b.first_batch, {{ city_date('max(v.source_updated_at)') }} as taken_over_on
    from began b
    join version v on v.decision_kind = b.decision_kind and v._batch = b.first_batch
    group by b.decision_kind, b.first_batch
),
ranked as (
    select
        v.*, t.first_batch, t.taken_over_on,
        row_number() over (
            partition by v.decision_kind, v.credit_record_no order by v._batch asc nulls last
        ) as place
    from version v
    join taken_over t on t.decision_kind = v.decision_kind
)
select
    decision_kind, credit_record_no, document_status, taken_over_on,
    {{ city_date('source_updated_at') }} as first_reported_on,
    {{ source_row('ranked') }} as report_row
from ranked
where place = 1 and _batch > first_batch
