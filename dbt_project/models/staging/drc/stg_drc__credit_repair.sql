-- 信用修复，一行一次申请。One row per application.
select
    repair_no, repair_target, repaired_record_no, subject_name, subject_category, uscc, subject_id_number, applied_on,
    repair_accepted_on, repair_decided_on, repair_result, repair_reason, withdrawn_on, authority_name, authority_uscc,
    source_updated_at,
    {{ person_of('r.subject_person_id') }} as subject_person_id,
    _batch, _row
from {{ source('core', 'drc__credit_repair') }} r
{{ join_person('r.subject_person_id') }}
