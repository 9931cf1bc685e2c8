-- 空气自动站，一行一站。One row per station.
select
    station_no, station_name, station_name_en, county_code, _batch, _row
from {{ source('core', 'eeb__air_station') }}
