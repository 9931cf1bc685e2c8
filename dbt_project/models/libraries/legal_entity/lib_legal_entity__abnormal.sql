-- 经营异常名录，一次列入一行；主体不在登记库的没有代码。One row per entry in the list; without a code where the entity is not registered.
select
    s.abnormal_no, a.uscc, s.abnormal_reason, s.listed_on, s.list_authority, s.removal_reason, s.removed_on,
    s.source_updated_at,
    {{ source_rows({'amr/abnormal': 's', 'amr/enterprise': 'a'}) }} as source_rows
from {{ ref('stg_amr__abnormal') }} s
left join {{ ref('stg_amr__enterprise') }} a on a.subject_no = s.subject_no
