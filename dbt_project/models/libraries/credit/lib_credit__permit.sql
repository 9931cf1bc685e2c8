-- 行政许可，一项决定一行；标明主体是否在法人库中。One row per permit; says whether the legal entity library has the subject.
select
    p.credit_record_no, p.subject_name, p.subject_category, p.uscc, p.subject_registration_no,
    p.subject_organisation_code, p.subject_tax_no, p.subject_institution_no, p.subject_social_no, p.subject_id_type,
    p.subject_person_id, p.legal_representative, p.representative_id_type, p.representative_person_id,
    case when p.uscc is not null then e.uscc is not null end as entity_known,
    p.document_name, p.document_no, p.permit_category, p.permit_certificate, p.permit_certificate_no, p.permit_content,
    p.decided_on, p.valid_from, p.valid_to, p.authority_name, p.authority_uscc, p.document_status, p.record_source,
    p.record_source_uscc, p.source_updated_at,
    {{ source_rows({'drc/permit': 'p'}) }} as source_rows
from {{ ref('stg_drc__permit') }} p
left join {{ ref('lib_legal_entity__entity') }} e on e.uscc = p.uscc
