-- 机关、事业单位和群团，一行一个单位。One row per body on the state's payroll.
select
    subject_no, uscc, entity_name, entity_class, tenet, business_authority, institution_level, funding, headcount,
    legal_representative, legal_representative_id, domicile, county_code, established_on, valid_to, entity_status,
    status_date, source_updated_at,
    {{ person_of('r.legal_representative_person_id') }} as legal_representative_person_id,
    _batch, _row
from {{ source('core', 'sto__institution') }} r
{{ join_person('r.legal_representative_person_id') }}
