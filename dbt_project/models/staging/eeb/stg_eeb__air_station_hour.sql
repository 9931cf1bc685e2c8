-- 空气站小时值，一行一站一小时。One row per station and hour.
select
    station_no, observed_at, so2, no2, co, o3, pm10, pm25, air_flag, temperature, humidity, _batch, _row
from {{ source('core', 'eeb__air_station_hour') }}
