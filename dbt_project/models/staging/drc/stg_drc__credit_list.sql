-- 失信和守信名单，一行一次列入。One row per entry in a list.
select
    list_record_no, list_type, subject_name, subject_category, uscc, subject_id_number, list_basis, list_reason,
    listed_on, delist_reason, delisted_on, authority_name, authority_uscc, source_updated_at,
    {{ person_of('r.subject_person_id') }} as subject_person_id,
    _batch, _row
from {{ source('core', 'drc__credit_list') }} r
{{ join_person('r.subject_person_id') }}
