-- 可向社会公示的行政处罚：只有法人库中的法人，不含自然人和个体工商户，只有有效、未过公示期、未修复的决定。
-- The penalties the public may see: of legal persons in the library only, never of natural persons or sole traders, whose
-- names are persons' names; valid decisions only, and until their time of publicity ends or they are repaired.
select
    p.credit_record_no, p.uscc, e.entity_name, p.document_no, p.offence, p.offence_facts, p.legal_basis,
    p.penalty_category, p.penalty_category_2, p.penalty_content, p.fine_amount, p.confiscated_amount,
    p.withheld_licence, p.decided_on, p.valid_to, p.publicity_end, p.public_until, p.authority_name, p.authority_uscc,
    p.record_source, p.source_rows
from {{ ref('lib_credit__penalty') }} p
join {{ ref('lib_legal_entity__entity') }} e on e.uscc = p.uscc
cross join {{ source('lake', 'edition') }} d
where p.subject_category = '1' and e.entity_class <> '92'
    and coalesce(e.entity_type, '') <> '9500' and p.document_status = '1'
    and p.public_until >= d.as_of
