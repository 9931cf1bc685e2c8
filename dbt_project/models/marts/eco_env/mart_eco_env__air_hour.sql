-- 空气站有效小时值，一站一小时一行。Valid hourly values, one row per station and hour.
-- Flags other than N say that the instrument was in maintenance, calibrated or broken: such hours measure nothing.
select
    h.station_no,
    s.station_name,
    s.county_code,
    county.division_name as county_name,
    h.observed_at,
    {{ city_date('h.observed_at') }} as day,
    h.so2, h.no2, h.co, h.o3, h.pm10, h.pm25, h.temperature, h.humidity,
    {{ source_rows({'eeb/air_station_hour': 'h'}) }} as source_rows
from {{ ref('stg_eeb__air_station_hour') }} h
join {{ ref('stg_eeb__air_station') }} s on s.station_no = h.station_no
join {{ ref('lib_geography__division') }} county on county.code = s.county_code
where h.air_flag = 'N'
