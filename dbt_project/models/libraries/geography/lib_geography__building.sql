-- 建筑物（自然幢），一幢一行，带所在宗地、门牌下的标准地址数和位置核对。
-- One row per building with its parcel, the standard addresses in it, and whether it stands where it says.
with gate as (
    select
        division_code,
        coalesce(street, '') as street,
        coalesce(gate_no, '') as gate_no,
        coalesce(building_no, '') as building_no,
        count(*) as addresses
    from {{ ref('stg_psb__standard_address') }}
    where coalesce(gate_no, building_no) is not null
    group by division_code, coalesce(street, ''), coalesce(gate_no, ''), coalesce(building_no, '')
)
select
    b.building_code,
    b.parcel_no,
    l.parcel_link,
    b.division_code,
    substr(b.division_code, 1, 6) as county_code,
    county.division_name as county_name,
    b.street,
    b.gate_no,
    b.building_no,
    cast(coalesce(g.addresses, 0) as bigint) as address_count,
    b.floors,
    b.built_year,
    b.footprint,
    l.longitude,
    l.latitude,
    l.position_county,
    l.position_doubt,
    b.building_outline,
    b.source_updated_at,
    {{ source_rows({'nrpb/building': 'b'}) }} as source_rows
from {{ ref('stg_nrpb__building') }} b
left join gate g
    on g.division_code = b.division_code and g.street = coalesce(b.street, '')
    and g.gate_no = coalesce(b.gate_no, '') and g.building_no = coalesce(b.building_no, '')
left join {{ source('matched', 'layer') }} l on l.source_dataset = 'nrpb/building' and l.source_key = b.building_code
left join {{ ref('lib_geography__division') }} county on county.code = substr(b.division_code, 1, 6)
