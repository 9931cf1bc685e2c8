-- 城市部件，一个部件一行；来源没有区划，县区由坐标所在得出。
-- One row per component. Its source names no division: the county is the one that the position lies in.
select
    c.component_no,
    c.component_class,
    c.component_status,
    c.component_owner,
    c.surveyed_on,
    l.position_county as county_code,
    county.division_name as county_name,
    l.longitude,
    l.latitude,
    l.position_doubt,
    c.component_position,
    {{ source_rows({'umb/component': 'c'}) }} as source_rows
from {{ ref('stg_umb__component') }} c
left join {{ source('matched', 'layer') }} l on l.source_dataset = 'umb/component' and l.source_key = c.component_no
left join {{ ref('lib_geography__division') }} county on county.code = l.position_county
