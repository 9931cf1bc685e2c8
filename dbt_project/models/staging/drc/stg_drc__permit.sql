-- 行政许可，一行一项决定。One row per decision.
select
    credit_record_no, subject_name, subject_category, uscc, subject_registration_no, subject_organisation_code,
    subject_tax_no, subject_institution_no, subject_social_no, legal_representative, representative_id_type,
    representative_id_number, subject_id_type, subject_id_number, document_name, document_no, permit_category,
    permit_certificate, permit_certificate_no, permit_content, decided_on, valid_from, valid_to, authority_name,
    authority_uscc, document_status, record_source, record_source_uscc, source_updated_at,
    {{ person_of('r.subject_person_id', 's') }} as subject_person_id,
    {{ person_of('r.representative_person_id', 'q') }} as representative_person_id,
    _batch, _row
from {{ source('core', 'drc__permit') }} r
{{ join_person('r.subject_person_id', 's') }}
{{ join_person('r.representative_person_id', 'q') }}
