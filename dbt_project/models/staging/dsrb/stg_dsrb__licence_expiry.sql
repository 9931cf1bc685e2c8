-- 证照到期提醒天数，一行一类证照。One row per type of licence: days of notice.
select
    licence_type, warn_days, weight_source, confidence, _batch, _row
from {{ source('core', 'dsrb__licence_expiry') }}
