-- 文化体育场馆，一馆一行。One row per venue.
select
    venue_code, venue_name, venue_type, county_code, public_address, longitude, latitude, floor_area, seats,
    free_of_charge, facility_status, _batch, _row
from {{ source('core', 'ctb__venue') }}
