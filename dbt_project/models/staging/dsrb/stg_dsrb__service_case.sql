-- 政务办件，一行一件。One row per case.
select
    case_no, item_code, item_name, applicant_type, applicant_code, authority_uscc, department_name, county_code,
    service_channel, accepted_at, promised_days, due_at, finished_at, case_result, materials,
    shared_licences, visits, source_updated_at,
    {{ person_of('r.applicant_id') }} as applicant_id,
    _batch, _row
from {{ source('core', 'dsrb__service_case') }} r
{{ join_person('r.applicant_id') }}
