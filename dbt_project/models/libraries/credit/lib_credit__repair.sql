-- 信用修复，一次申请一行；标明所修复的记录是否在库中且属该主体。
-- One row per application; says whether the library has the record as one of this subject.
select
    r.repair_no, r.repair_target, r.repaired_record_no, r.subject_category, r.uscc, r.subject_person_id, r.applied_on,
    r.repair_accepted_on, r.repair_decided_on, r.repair_result, r.repair_reason, r.withdrawn_on,
    coalesce(p.credit_record_no, l.list_record_no) is not null as record_known,
    r.authority_name, r.authority_uscc, r.source_updated_at,
    {{ source_rows({'drc/credit_repair': 'r'}) }} as source_rows
from {{ ref('stg_drc__credit_repair') }} r
left join {{ ref('lib_credit__penalty') }} p
    on r.repair_target = '1' and p.credit_record_no = r.repaired_record_no
    and {{ credit_subject('p') }} = {{ credit_subject('r') }}
left join {{ ref('lib_credit__listing') }} l
    on r.repair_target = '2' and l.list_record_no = r.repaired_record_no
    and {{ credit_subject('l') }} = {{ credit_subject('r') }}
