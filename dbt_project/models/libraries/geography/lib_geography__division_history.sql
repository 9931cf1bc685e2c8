-- 代码在各时段所指，一行一个代码一个时段：先是自己，失效后是后继，后继失效后是其后继（三代以内）。
-- One row per code and period: what it stands for. First itself, then its successor, then the successor's, up to the
-- third. After a split the code alone does not tell. A town or village begins with its county, whose digits its code has: what
-- its code was before nobody lists, so of days before nothing is said.
with code as (
    select code, _batch, _row, cast(null as bigint) as change_batch, cast(null as bigint) as change_row
    from {{ ref('stg_dsrb__division') }}
    union all
    select e.code, cast(null as bigint), cast(null as bigint), e._batch, e._row
    from {{ ref('int_geography__division_end') }} e
    left join {{ ref('stg_dsrb__division') }} d on d.code = e.code
    where d.code is null
),
begun as (
    select successor_code as code, min(effective_on) as in_force_from
    from {{ ref('stg_dsrb__division_change') }}
    where division_change_kind <> 'merged'
    group by successor_code
),
chain as (
    select
        c.code, c._batch, c._row, c.change_batch, c.change_row, b.in_force_from,
        e1.ended_on as ended_1, e1.successor_code as successor_1,
        e2.ended_on as ended_2, e2.successor_code as successor_2,
        e3.ended_on as ended_3
    from code c
    left join begun own on own.code = c.code
    left join begun b on b.code = coalesce(own.code, substr(c.code, 1, 6))
    left join {{ ref('int_geography__division_end') }} e1 on e1.code = c.code
    left join {{ ref('int_geography__division_end') }} e2 on e2.code = e1.successor_code
    left join {{ ref('int_geography__division_end') }} e3 on e3.code = e2.successor_code
),
period as (
    select code, 1 as period_no, in_force_from, ended_1 as in_force_until, code as stands_for, 'in_force' as division_standing
    from chain
    union all
    select code, 2, ended_1, ended_2, successor_1, case when successor_1 is null then 'split' else 'succeeded' end
    from chain
    where ended_1 is not null
    union all
    select code, 3, ended_2, ended_3, successor_2, case when successor_2 is null then 'split' else 'succeeded' end
    from chain
    where ended_2 is not null
)
select
    p.code,
    cast(p.period_no as bigint) as period_no,
    p.in_force_from,
    p.in_force_until,
    p.stands_for,
    p.division_standing,
    {{ source_rows(
        {'dsrb/division': 'c'},
        {'dsrb/division_change': "cast(c.change_batch as string) || ':' || cast(c.change_row as string)"}
    ) }} as source_rows
from period p
join chain c on c.code = p.code
