-- 标准地址，一址一行，带所属区划和所在建筑物。
-- One row per standard address with the divisions it lies in and the building it is of.
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
    case
        when a.room_no is not null then 'room'
        when a.building_unit is not null then 'unit'
        when a.building_no is not null then 'building'
        when a.gate_no is not null then 'gate'
        when a.street is not null then 'street'
        else 'division'
    end as address_level,
    b.building_code,
    a.longitude,
    a.latitude,
    a.datum,
    a.address_status,
    a.source_updated_at,
    {{ source_rows({'psb/standard_address': 'a', 'nrpb/building': 'b'}) }} as source_rows
from {{ ref('stg_psb__standard_address') }} a
left join {{ ref('lib_geography__division') }} county on county.code = substr(a.division_code, 1, 6)
left join {{ ref('lib_geography__division') }} town on town.code = substr(a.division_code, 1, 9)
left join {{ ref('int_geography__building_gate') }} b
    on b.division_code = a.division_code and b.street = coalesce(a.street, '')
    and b.gate_no = coalesce(a.gate_no, '') and b.building_no = coalesce(a.building_no, '')
