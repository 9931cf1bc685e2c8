-- 5G 基站，一站一行。One row per base station of 5G.
select
    station_code, telecom_operator, station_site_name, frequency_band, county_code, longitude, latitude,
    facility_status, in_use_since, _batch, _row
from {{ source('core', 'eitb__base_station') }}
