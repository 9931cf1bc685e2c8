-- 不动产登记事件，一行一次登记的一个权利人。One row per registration and owner.
select
    estate_row_no, estate_registration_no, estate_unit_no, estate_certificate_no, estate_registration_type,
    owner_kind, owner_code, ownership_share, estate_use, estate_area, estate_price, estate_registered_at,
    estate_limit, estate_address, source_updated_at,
    {{ person_of('r.owner_id') }} as owner_id,
    _batch, _row
from {{ source('core', 'nrpb__real_estate') }} r
{{ join_person('r.owner_id') }}
