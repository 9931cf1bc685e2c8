-- 电子证照现状，一行一份证照。One row per licence, as it is now.
select
    change_no, operation, licence_identifier, licence_type, licence_name, licence_no, holder_type, holder_name,
    holder_code, issuer_name, issuer_uscc, issued_on, valid_from, valid_to, licence_version,
    associated_licence, case_no, county_code, licence_status, holder_code_type, file_format, file_hash, handled_at,
    {{ person_of('r.holder_id') }} as holder_id,
    _batch, _row
from {{ source('core', 'dsrb__e_licence') }} r
{{ join_person('r.holder_id') }}
