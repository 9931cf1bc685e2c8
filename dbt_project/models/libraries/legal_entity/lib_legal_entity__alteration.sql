-- 市场主体变更，一行一项变更；主体已不在登记库的，代码为空。
-- One row per alteration; without a code where the entity is no longer in the register.
select
    c.alteration_no, c.subject_no, a.uscc, c.alteration_item, c.value_before, c.value_after, c.altered_on,
    c.source_updated_at,
    {{ source_rows({'amr/enterprise_change': 'c', 'amr/enterprise': 'a'}) }} as source_rows
from {{ ref('stg_amr__enterprise_change') }} c
left join {{ ref('stg_amr__enterprise') }} a on a.subject_no = c.subject_no
