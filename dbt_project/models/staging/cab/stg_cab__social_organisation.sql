-- 社会组织登记，一行一个组织。One row per registered social organisation.
select
    subject_no, uscc, entity_name, entity_class, business_authority, legal_representative, legal_representative_id,
    registered_capital, domicile, county_code, business_scope, established_on, valid_to, annual_check,
    entity_status, status_date, source_updated_at,
    {{ person_of('r.legal_representative_person_id') }} as legal_representative_person_id,
    _batch, _row
from {{ source('core', 'cab__social_organisation') }} r
{{ join_person('r.legal_representative_person_id') }}
