-- 道路，一村（社区）一条路一行，带路上的标准地址数和位置核对。
-- One row per road of a village or community with the standard addresses on it, and whether it lies where it says.
with gate as (
    select division_code, street, count(*) as addresses
    from {{ ref('stg_psb__standard_address') }}
    group by division_code, street
)
select
    r.road_code,
    r.road_name,
    r.division_code,
    substr(r.division_code, 1, 6) as county_code,
    county.division_name as county_name,
    r.road_class,
    r.road_width,
    r.road_length,
    cast(coalesce(g.addresses, 0) as bigint) as address_count,
    l.longitude,
    l.latitude,
    l.position_county,
    l.position_doubt,
    r.road_line,
    {{ source_rows({'nrpb/road': 'r'}) }} as source_rows
from {{ ref('stg_nrpb__road') }} r
left join gate g on g.division_code = r.division_code and g.street = r.road_name
left join {{ source('matched', 'layer') }} l on l.source_dataset = 'nrpb/road' and l.source_key = r.road_code
left join {{ ref('lib_geography__division') }} county on county.code = substr(r.division_code, 1, 6)
