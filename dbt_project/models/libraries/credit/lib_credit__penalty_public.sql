-- 可向社会公示的行政处罚：只有法人库中的法人，不含自然人和个体工商户，只有有效且未过公示期的决定。
-- The penalties the public may see: of legal persons in the library only, never of natural persons or sole traders, whose
-- names are persons' names; valid decisions only, and until their time of publicity ends.
select
    p.credit_record_no, p.uscc, e.entity_name, p.document_no, p.offence, p.legal_basis, p.penalty_category,
    p.penalty_content, p.fine_amount, p.decided_on, p.publicity_end, p.authority_name, p.authority_uscc, p.source_rows
from {{ ref('lib_credit__penalty') }} p
join {{ ref('lib_legal_entity__entity') }} e on e.uscc = p.uscc
cross join {{ source('lake', 'edition') }} d
where p.subject_category = '1' and e.entity_type <> '9500' and p.document_status = '1'
    and coalesce(p.publicity_end, d.as_of) >= d.as_of
