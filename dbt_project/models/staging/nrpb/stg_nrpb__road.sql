-- 道路，一村（社区）一条路一行。One row per road of a village or community.
select
    road_code, road_name, division_code, road_class, road_width, road_length, datum, road_line, _batch, _row
from {{ source('core', 'nrpb__road') }}
