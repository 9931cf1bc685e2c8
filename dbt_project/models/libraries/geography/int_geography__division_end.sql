-- 代码失效，一行一个代码：何时、由何取代；分设的没有单一后继。析出不使前身失效。
-- One row per code that ceased: when, and what took its place, null after a split. What is separated ends nobody.
{{ config(materialized='view') }}
select
    predecessor_code as code,
    max(effective_on) as ended_on,
    case when count(*) = 1 then max(successor_code) end as successor_code,
    max(_batch) as _batch,
    max(_row) as _row
from {{ ref('stg_dsrb__division_change') }}
where division_change_kind <> 'separated'
group by predecessor_code
