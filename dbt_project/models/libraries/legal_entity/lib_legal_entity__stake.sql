-- 穿透持股，一家公司和一个最终持有人一行：沿每条股权路径比例相乘再相加；相互持股走不完的部分单列，不丢失。
-- One row per company and who stands at an end of its walks along shares: the sum over all walks of their products. What
-- still circulates among companies that hold each other is a row of its own.
with {{ ownership_edges() }},
{{ walks('edge', 'node') }},
stake as (
    select r.uscc, h.holder_key, sum(r.share * h.share) as total_share, min({{ joined_chain('r.chain', 'h.chain') }}) as chain
    from reach_{{ walked_steps() }} r
    join held h on h.uscc = r.holder
    where h.holder_kind <> 'company'
    group by r.uscc, h.holder_key
),
ended as (
    select s.uscc, s.holder_key, k.holder_kind, k.shareholder_person_id, k.shareholder_uscc, s.total_share, s.chain
    from stake s
    join (
        select
            holder_key, min(holder_kind) as holder_kind, min(shareholder_person_id) as shareholder_person_id,
            min(shareholder_uscc) as shareholder_uscc
        from held
        group by holder_key
    ) k on k.holder_key = s.holder_key
    union all
    select
        uscc, 'C', 'circular', cast(null as string), cast(null as string), sum(share), min(own.chain)
    from step_{{ walked_steps() }}
    join (select uscc as company, min(chain) as chain from held group by uscc) own on own.company = uscc
    group by uscc
    having sum(share) >= 0.0000005
)
select
    uscc, holder_key, holder_kind, shareholder_person_id, shareholder_uscc,
    cast(round(total_share, 6) as double) as total_share,
    {{ chain_length('chain') }} as ownership_depth,
    {{ chain_rows('chain') }} as source_rows
from ended
