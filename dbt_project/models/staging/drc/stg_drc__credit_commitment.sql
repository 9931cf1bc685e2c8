-- 信用承诺，一行一项。One row per commitment.
select
    commitment_no, commitment_type, subject_name, subject_category, uscc, commitment_content, committed_on,
    commitment_due, commitment_status, checked_on, authority_name, authority_uscc, source_updated_at, _batch,
    _row
from {{ source('core', 'drc__credit_commitment') }}
