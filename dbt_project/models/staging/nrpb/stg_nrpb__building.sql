-- 自然幢，一幢一行。One row per building.
select
    building_code, parcel_no, division_code, street, gate_no, building_no, floors, built_year, footprint, datum,
    building_outline, source_updated_at, _batch, _row
from {{ source('core', 'nrpb__building') }}
