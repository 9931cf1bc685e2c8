-- 标准地址，一址一行。One row per standard address.
select
    address_id, division_code, street, gate_no, building_no, building_unit, room_no, full_address, longitude, latitude, datum,
    address_status, source_updated_at, _batch, _row
from {{ source('core', 'psb__standard_address') }}
