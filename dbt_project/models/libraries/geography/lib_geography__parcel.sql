-- 宗地，一宗一行，带登记单元数、所在县区和位置核对。
-- One row per parcel with the units registered on it, its county, and whether it lies there.
with unit as (
    select
        substr(estate_unit_no, 1, 19) as parcel_no,
        count(distinct estate_unit_no) as units
    from {{ ref('stg_nrpb__real_estate') }}
    group by substr(estate_unit_no, 1, 19)
)
select
    p.parcel_no,
    p.division_code,
    substr(p.division_code, 1, 6) as county_code,
    county.division_name as county_name,
    p.parcel_use,
    p.parcel_area,
    cast(coalesce(u.units, 0) as bigint) as unit_count,
    l.longitude,
    l.latitude,
    l.position_county,
    l.position_doubt,
    p.parcel_boundary,
    p.source_updated_at,
    {{ source_rows({'nrpb/parcel': 'p'}) }} as source_rows
from {{ ref('stg_nrpb__parcel') }} p
left join unit u on u.parcel_no = p.parcel_no
left join {{ source('matched', 'layer') }} l on l.source_dataset = 'nrpb/parcel' and l.source_key = p.parcel_no
left join {{ ref('lib_geography__division') }} county on county.code = substr(p.division_code, 1, 6)
