-- 宗地，一宗一行。One row per parcel.
select
    parcel_no, division_code, parcel_use, parcel_area, datum, parcel_boundary, source_updated_at, _batch, _row
from {{ source('core', 'nrpb__parcel') }}
