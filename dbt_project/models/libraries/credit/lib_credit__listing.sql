-- 失信和守信名单，一次列入一行；统计时点是否仍在名单，在名单到哪一天。
-- One row per entry in a list: whether the subject is in it on the day of the edition, and the last day on which it is.
with entry as (
    select
        l.*, r.repair_no, r.withdrawn_on,
        least({{ day_before('l.delisted_on') }}, {{ day_before('r.withdrawn_on') }}) as public_until,
        {{ source_rows({'drc/credit_list': 'l', 'drc/credit_repair': 'r'}) }} as source_rows
    from {{ ref('stg_drc__credit_list') }} l
    left join {{ ref('int_credit__repair') }} r
        on r.repair_target = '2' and r.repaired_record_no = l.list_record_no
        and r.subject = {{ credit_subject('l') }}
)
select
    l.list_record_no, l.list_type, l.subject_name, l.subject_category, l.uscc, l.subject_person_id,
    case when l.uscc is not null then e.uscc is not null end as entity_known,
    l.list_basis, l.list_reason, l.listed_on, l.delist_reason, l.delisted_on, l.repair_no, l.withdrawn_on,
    l.public_until,
    coalesce(l.public_until, d.as_of) >= d.as_of as in_list,
    l.authority_name, l.authority_uscc, d.as_of, l.source_updated_at, l.source_rows
from entry l
left join {{ ref('lib_legal_entity__entity') }} e on e.uscc = l.uscc
cross join {{ source('lake', 'edition') }} d
