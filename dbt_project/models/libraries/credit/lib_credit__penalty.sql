-- 行政处罚，一项决定一行；标明主体是否在法人库中，以及公示到哪一天：公示截止期和准予修复后终止公示，以先到的为准；没有截止期的，按类别最长公示年数。
-- One row per penalty; says whether the legal entity library has the subject, and the last day on which it is shown: when
-- its publicity ends, or the day before a granted repair ends it, whichever comes first. One whose end nobody told is shown
-- for the longest time of its kind from the decision on, never for ever.
select
    p.credit_record_no, p.subject_name, p.subject_category, p.uscc, p.subject_registration_no,
    p.subject_organisation_code, p.subject_tax_no, p.subject_institution_no, p.subject_social_no, p.subject_id_type,
    p.subject_person_id, p.legal_representative, p.representative_id_type, p.representative_person_id,
    case when p.uscc is not null then e.uscc is not null end as entity_known,
    p.document_no, p.offence, p.offence_facts, p.legal_basis, p.penalty_category, p.penalty_category_2,
    p.penalty_content, p.fine_amount, p.confiscated_amount, p.withheld_licence, p.decided_on, p.valid_to,
    p.publicity_end, r.repair_no, r.withdrawn_on,
    least(
        coalesce(p.publicity_end, {{ years_after('p.decided_on', 'y.publicity_years') }}),
        {{ day_before('r.withdrawn_on') }}
    ) as public_until,
    p.authority_name, p.authority_uscc, p.document_status, p.record_source, p.record_source_uscc, p.source_updated_at,
    {{ source_rows({'drc/penalty': 'p', 'drc/credit_repair': 'r', 'drc/penalty_publicity': 'y'}) }} as source_rows
from {{ ref('stg_drc__penalty') }} p
left join {{ ref('lib_legal_entity__entity') }} e on e.uscc = p.uscc
left join {{ ref('int_credit__repair') }} r
    on r.repair_target = '1' and r.repaired_record_no = p.credit_record_no
    and r.subject = {{ credit_subject('p') }}
left join {{ ref('stg_drc__penalty_publicity') }} y
    on y.penalty_category = p.penalty_category and p.publicity_end is null
