-- 门牌下的建筑物，一个门牌（含幢号）一行；同一门牌有几幢的不取。
-- One row per gate with exactly one building: where there are several none is taken.
{{ config(materialized='view') }}
select
    division_code,
    coalesce(street, '') as street,
    coalesce(gate_no, '') as gate_no,
    coalesce(building_no, '') as building_no,
    min(building_code) as building_code,
    max(_batch) as _batch,
    max(_row) as _row
from {{ ref('stg_nrpb__building') }}
group by division_code, coalesce(street, ''), coalesce(gate_no, ''), coalesce(building_no, '')
having count(*) = 1
