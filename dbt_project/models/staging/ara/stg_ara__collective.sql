-- 农村集体经济组织登记，一行一个组织。One row per registered rural collective.
select
    subject_no, uscc, entity_name, entity_class, division_code, collective_members, collective_assets,
    legal_representative, legal_representative_id, domicile, business_scope, established_on, entity_status,
    status_date, source_updated_at,
    {{ person_of('r.legal_representative_person_id') }} as legal_representative_person_id,
    _batch, _row
from {{ source('core', 'ara__collective') }} r
{{ join_person('r.legal_representative_person_id') }}
