-- 电子证照的变更，一行一次变更。One row per change of a licence.
select
    change_no, operation, licence_identifier, issued_on, valid_from, valid_to, licence_version,
    associated_licence, licence_status, handled_at, _batch, _row
from {{ source('core', 'dsrb__e_licence_change') }}
