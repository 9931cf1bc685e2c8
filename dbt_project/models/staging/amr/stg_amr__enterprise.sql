-- 市场主体登记，一行一户。One row per registered entity.
select
    subject_no, uscc, entity_name, entity_type, established_on, registered_capital, currency, industry_code,
    registration_authority, county_code, domicile, legal_representative, legal_representative_id, business_scope,
    term_from, term_to, entity_status, status_date, approval_date, superior_uscc,
    registration_number, paid_capital, revocation_reason, source_updated_at,
    {{ person_of('r.legal_representative_person_id') }} as legal_representative_person_id,
    _batch, _row
from {{ source('core', 'amr__enterprise') }} r
{{ join_person('r.legal_representative_person_id') }}
