-- 行政处罚，一项决定一行；标明主体是否在法人库中。One row per penalty; says whether the legal entity library has the subject.
select
    p.credit_record_no, p.subject_name, p.subject_category, p.uscc, p.subject_person_id,
    case when p.uscc is not null then e.uscc is not null end as entity_known,
    p.document_no, p.offence, p.legal_basis, p.penalty_category, p.penalty_content, p.fine_amount, p.decided_on,
    p.publicity_end, p.authority_name, p.authority_uscc, p.document_status, p.source_updated_at,
    {{ source_rows({'drc/penalty': 'p'}) }} as source_rows
from {{ ref('stg_drc__penalty') }} p
left join {{ ref('lib_legal_entity__entity') }} e on e.uscc = p.uscc
