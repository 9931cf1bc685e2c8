-- 门牌下的建筑物，一个门牌（含幢号）一行；同一门牌有几幢的不取，没有门牌和幢号的不取。
-- One row per gate with exactly one building: where there are several none is taken, nor one without any number: it is no
-- address that says no more than the village or the street.
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
where coalesce(gate_no, building_no) is not null
group by division_code, coalesce(street, ''), coalesce(gate_no, ''), coalesce(building_no, '')
having count(*) = 1
