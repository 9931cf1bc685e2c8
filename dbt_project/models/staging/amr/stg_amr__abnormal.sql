-- 经营异常名录，一次列入一行。One row per entry in the list.
select
    abnormal_no, subject_no, abnormal_reason, listed_on, list_authority, removal_reason, removed_on,
    source_updated_at, _batch, _row
from {{ source('core', 'amr__abnormal') }}
