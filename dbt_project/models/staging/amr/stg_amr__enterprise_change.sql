-- 市场主体变更，一行一项变更。One row per alteration.
select
    alteration_no, subject_no, alteration_item, value_before, value_after, altered_on, source_updated_at, _batch,
    _row
from {{ source('core', 'amr__enterprise_change') }}
