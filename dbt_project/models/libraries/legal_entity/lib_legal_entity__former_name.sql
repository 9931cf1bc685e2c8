-- 主体曾用名，一个曾用名一行：由名称变更记录得出，写明启用和停用日期。
-- One row per former name of an entity, with the days between which it was used, from the log of alterations.
with renamed as (
    select
        c.alteration_no, a.uscc, a.established_on, c.value_before, c.altered_on,
        {{ source_rows({'amr/enterprise_change': 'c', 'amr/enterprise': 'a'}) }} as source_rows
    from {{ ref('stg_amr__enterprise_change') }} c
    join {{ ref('stg_amr__enterprise') }} a on a.subject_no = c.subject_no
    where c.alteration_item = '名称变更' and c.value_before is not null
)
select
    uscc,
    cast(row_number() over (
        partition by uscc order by altered_on asc nulls last, alteration_no asc nulls last
    ) as bigint) as name_no,
    value_before as entity_name,
    coalesce(
        lag(altered_on) over (partition by uscc order by altered_on asc nulls last, alteration_no asc nulls last),
        established_on
    ) as name_from,
    altered_on as name_to,
    source_rows
from renamed
