-- 已知死亡的人，一人一行：有火化登记的，和户籍登记因死亡注销的（土葬的没有火化登记）。
-- One row per person known to be dead: who was cremated, and whom the household register cancelled as dead; who was buried is
-- in no register of a crematorium.
{{ config(materialized='view') }}

with told as (
    select person_id, 'cab/cremation' as told_by, _batch, _row
    from {{ ref('int_population__death') }}
    union all
    select person_id, 'psb/household_person', _batch, _row
    from {{ ref('stg_psb__household_person') }}
    where cancelled = '1' and died_on is not null
    union all
    select person_id, 'psb/household_person', _batch, _row
    from {{ ref('stg_psb__household_person_left') }}
    where died_on is not null
)
select person_id, told_by, _batch, _row
from {{ first_of_each('told', 'person_id', 'told_by asc nulls last, _batch desc nulls last, _row asc nulls last') }} r
