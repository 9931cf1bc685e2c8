-- 区划变更，一行一个前身与一个后继。One row per predecessor and successor.
select
    change_code, division_change_kind, predecessor_code, predecessor_name, successor_code, successor_name, effective_on,
    date_precision, basis, verification, _batch, _row
from {{ source('core', 'dsrb__division_change') }}
