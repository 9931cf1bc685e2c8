-- 农业物联网农场，一场一行。One row per farm with sensors.
select
    farm_code, uscc, farm_name, farm_crop, county_code, longitude, latitude, farm_area_mu, sensors, facility_status,
    in_use_since, _batch, _row
from {{ source('core', 'ara__iot_farm') }}
