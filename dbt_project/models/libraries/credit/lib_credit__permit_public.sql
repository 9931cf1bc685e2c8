-- 可向社会公示的行政许可：只有法人库中的法人，不含自然人和个体工商户，只有有效决定。
-- The permits the public may see: of legal persons in the library only, never of natural persons or sole traders, whose
-- names are persons' names; valid decisions only.
select
    p.credit_record_no, p.uscc, e.entity_name, p.document_name, p.document_no, p.permit_category, p.permit_certificate,
    p.permit_certificate_no, p.permit_content, p.decided_on, p.valid_from, p.valid_to, p.authority_name,
    p.authority_uscc, p.record_source, p.source_rows
from {{ ref('lib_credit__permit') }} p
join {{ ref('lib_legal_entity__entity') }} e on e.uscc = p.uscc
where p.subject_category = '1' and e.entity_class <> '92'
    and coalesce(e.entity_type, '') <> '9500' and p.document_status = '1'
