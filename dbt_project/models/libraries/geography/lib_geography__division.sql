-- 行政区划，一行一个区划，带全称与县区边界。One row per division with its full name and, for counties, the boundary.
-- The code is hierarchical: 6 digits to the county, 9 to the town, 12 to the village.
with division as (
    select * from {{ ref('stg_dsrb__division') }}
)
select
    d.code,
    d.division_name,
    d.division_level,
    d.parent_code,
    county.code as county_code,
    county.division_name as county_name,
    case d.division_level
        when 'village' then county.division_name || town.division_name || d.division_name
        when 'town' then county.division_name || d.division_name
        else d.division_name
    end as full_name,
    b.area_km2,
    b.county_boundary,
    {{ source_rows({'dsrb/division': 'd', 'nrpb/county_boundary': 'b'}) }} as source_rows
from division d
left join division county on county.division_level = 'county' and county.code = substr(d.code, 1, 6)
left join division town on town.division_level = 'town' and town.code = substr(d.code, 1, 9)
left join {{ ref('stg_nrpb__county_boundary') }} b on b.county_code = d.code
