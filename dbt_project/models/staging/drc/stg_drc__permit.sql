-- 行政许可，一行一项决定。One row per decision.
select
    credit_record_no, subject_name, subject_category, uscc, legal_representative, subject_id_number,
    document_name, document_no, permit_category, permit_certificate, permit_certificate_no, permit_content, decided_on,
    valid_from, valid_to, authority_name, authority_uscc, document_status, record_source, record_source_uscc,
    source_updated_at, subject_person_id, _batch, _row
from {{ source('core', 'drc__permit') }}
