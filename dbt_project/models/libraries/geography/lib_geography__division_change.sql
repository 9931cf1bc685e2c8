-- 区划变更，一行一个前身与一个后继。One row per predecessor and successor of a division code.
select
    change_code, division_change_kind, predecessor_code, predecessor_name, successor_code, successor_name, effective_on,
    date_precision, basis, verification,
    {{ source_rows({'dsrb/division_change': 'c'}) }} as source_rows
from {{ ref('stg_dsrb__division_change') }} c
