-- 公积金个人账户，一户一行。One row per account of a depositor.
select
    fund_account, id_number, fund_unit_account, unit_name, contribution_base, deposit_ratio, fund_balance,
    fund_account_status, last_paid_at, account_opened_on, account_closed_on,
    {{ person_of('r.person_id') }} as person_id,
    _batch, _row
from {{ source('core', 'hpf__fund_deposit') }} r
{{ join_person('r.person_id') }}
