-- 可向社会公示的名单：只有法人库中的法人，不含自然人和个体工商户，只有仍在名单的。
-- The entries in lists the public may see: of legal persons in the library only, never of natural persons or sole traders,
-- and until they are removed or repaired.
select
    l.list_record_no, l.list_type, l.uscc, e.entity_name, l.list_basis, l.list_reason, l.listed_on, l.public_until,
    l.authority_name, l.authority_uscc, l.source_rows
from {{ ref('lib_credit__listing') }} l
join {{ ref('lib_legal_entity__entity') }} e on e.uscc = l.uscc
where l.subject_category = '1' and e.entity_class <> '92' and coalesce(e.entity_type, '') <> '9500' and l.in_list
