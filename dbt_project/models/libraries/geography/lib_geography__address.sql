-- 标准地址，一址一行，带所属区划。One row per standard address with the divisions it lies in.
select
    a.address_id,
    a.full_address,
    a.division_code,
    substr(a.division_code, 1, 6) as county_code,
    county.division_name as county_name,
    case when length(a.division_code) >= 9 then substr(a.division_code, 1, 9) end as town_code,
    town.division_name as town_name,
    a.street,
    a.gate_no,
    a.building_no,
    a.building_unit,
    a.room_no,
    a.longitude,
    a.latitude,
    a.datum,
    a.address_status,
    a.source_updated_at,
    {{ source_rows({'psb/standard_address': 'a'}) }} as source_rows
from {{ ref('stg_psb__standard_address') }} a
left join {{ ref('lib_geography__division') }} county on county.code = substr(a.division_code, 1, 6)
left join {{ ref('lib_geography__division') }} town on town.code = substr(a.division_code, 1, 9)
