-- 证照类型，一行一类。One row per type of licence: whether a holder has only one that is valid at a time.
select
    licence_type, licence_name, one_per_holder, _batch, _row
from {{ source('core', 'dsrb__licence_type') }}
