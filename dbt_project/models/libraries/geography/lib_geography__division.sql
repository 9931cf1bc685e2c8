-- 现行行政区划，一行一个区划，带全称、类别与县区边界。One row per present division with its full name, its kind and, for
-- counties, the boundary. The code is hierarchical: 6 digits to the county, 9 to the town, 12 to the village; its 7th
-- and 10th digit tell what kind of town or village it is. A town or village whose own begin is not listed begins with its
-- county: its code has the county's digits and cannot be older.
with division as (
    select * from {{ ref('stg_dsrb__division') }}
),
begun as (
    select successor_code, effective_on, _batch, _row
    from (
        select
            successor_code, effective_on, _batch, _row,
            row_number() over (
                partition by successor_code order by effective_on asc nulls last, change_code asc nulls last
            ) as place
        from {{ ref('stg_dsrb__division_change') }}
        where division_change_kind <> 'merged'
    ) ranked
    where place = 1
)
select
    d.code,
    d.division_name,
    d.division_level,
    case
        when d.division_level = 'city' then 'city'
        when d.division_level = 'county' and substr(d.division_name, length(d.division_name), 1) = '区' then 'district'
        when d.division_level = 'county' then 'county'
        when d.division_level = 'town' then
            case
                when substr(d.code, 7, 1) = '0' then 'street'
                when substr(d.code, 7, 1) = '1' then 'town'
                when substr(d.code, 7, 1) in ('2', '3') then 'township'
                else 'statistical_town'
            end
        when substr(d.code, 10, 1) in ('0', '1') then 'neighbourhood'
        when substr(d.code, 10, 1) in ('2', '3') then 'village'
        when substr(d.code, 10, 1) = '4' then 'statistical_neighbourhood'
        else 'statistical_village'
    end as division_kind,
    d.division_level in ('town', 'village')
        and (substr(d.code, 7, 1) not in ('0', '1', '2', '3')
            or (d.division_level = 'village' and substr(d.code, 10, 1) not in ('0', '1', '2', '3'))) as statistical_unit,
    b.effective_on as in_force_from,
    d.parent_code,
    county.code as county_code,
    county.division_name as county_name,
    case d.division_level
        when 'village' then county.division_name || town.division_name || d.division_name
        when 'town' then county.division_name || d.division_name
        else d.division_name
    end as full_name,
    a.area_km2,
    a.county_boundary,
    {{ source_rows({'dsrb/division': 'd', 'nrpb/county_boundary': 'a', 'dsrb/division_change': 'b'}) }} as source_rows
from division d
left join division county on county.division_level = 'county' and county.code = substr(d.code, 1, 6)
left join division town on town.division_level = 'town' and town.code = substr(d.code, 1, 9)
left join {{ ref('stg_nrpb__county_boundary') }} a on a.county_code = d.code
left join begun own on own.successor_code = d.code
left join begun b on b.successor_code = coalesce(own.successor_code, substr(d.code, 1, 6))
