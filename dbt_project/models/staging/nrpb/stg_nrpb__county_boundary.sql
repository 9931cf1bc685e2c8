-- 县区边界，一行一个县区。One row per county.
select
    county_code, county_boundary, area_km2, _batch, _row
from {{ source('core', 'nrpb__county_boundary') }}
