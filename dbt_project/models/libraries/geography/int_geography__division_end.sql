-- 代码失效，一行一个代码：何时、由何取代；分设的没有单一后继。析出不使前身失效。
-- One row per code that ceased: when, and what took its place, null after a split. What is separated ends nobody.
{{ config(materialized='view') }}

with ended as (
    select
        *,
        count(*) over (partition by predecessor_code) as successors,
        row_number() over (
            partition by predecessor_code order by effective_on desc nulls last, change_code asc nulls last
        ) as place
    from {{ ref('stg_dsrb__division_change') }}
    where division_change_kind <> 'separated'
)
select
    predecessor_code as code, effective_on as ended_on,
    case when successors = 1 then successor_code end as successor_code,
    _batch, _row
from ended
where place = 1
