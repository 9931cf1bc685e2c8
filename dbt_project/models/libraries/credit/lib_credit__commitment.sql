-- 信用承诺，一项一行；标明主体是否在法人库中。One row per commitment; says whether the library has the subject.
select
    c.commitment_no, c.commitment_type, c.subject_name, c.subject_category, c.uscc,
    e.uscc is not null as entity_known,
    c.commitment_content, c.committed_on, c.commitment_due, c.commitment_status, c.checked_on, c.authority_name,
    c.authority_uscc, c.source_updated_at,
    {{ source_rows({'drc/credit_commitment': 'c'}) }} as source_rows
from {{ ref('stg_drc__credit_commitment') }} c
left join {{ ref('lib_legal_entity__entity') }} e on e.uscc = c.uscc
