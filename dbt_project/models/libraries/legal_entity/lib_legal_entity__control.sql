-- 最终控制人，一家有股东登记的公司一行：沿逐层持股过半的链条向上，到自然人、机关或没有过半股东的公司为止。
-- One row per company with registered shareholders: up the chain of majorities to its end. Companies that control each
-- other have no end: nobody outside controls them. Where less than half of a company's shares is registered, who is
-- missing may have the majority: then nobody can tell; nor where a company has the majority whose own shareholders nobody
-- knows. A controller of whom the register says nothing that identifies is known by the number of the holding.
with {{ ownership_edges() }},
majority as (
    select uscc, investment_no, holder_key, holder_kind, shareholder_person_id, shareholder_uscc, chain
    from (
        select
            uscc, holder_key, min(investment_no) as investment_no, min(holder_kind) as holder_kind,
            min(shareholder_person_id) as shareholder_person_id, min(shareholder_uscc) as shareholder_uscc,
            sum(share) as share, min(chain) as chain
        from held
        group by uscc, holder_key
    ) summed
    where share > 0.5
),
registered as (
    select uscc, round(sum(share), 6) as share from held group by uscc
),
rise as (
    select uscc, shareholder_uscc as holder, chain from majority where holder_kind = 'company'
),
{{ climbs('rise', 'node') }},
found as (
    select
        t.uscc,
        case
            when (m.uscc is null and g.share < 0.5) or m.holder_kind = 'undisclosed' then 'incomplete'
            when m.uscc is null then 'no_majority'
            when m.holder_kind = 'company' then 'circular'
            else 'controlled'
        end as control_state,
        m.holder_kind, m.shareholder_person_id, m.shareholder_uscc,
        case when m.holder_kind = 'unidentified' then m.investment_no end as investment_no,
        {{ joined_chain('t.chain', "coalesce(m.chain, '000')") }} as chain,
        own.chain as own_chain
    from top_{{ walked_steps() }} t
    left join majority m on m.uscc = t.holder
    join registered g on g.uscc = t.holder
    join (select uscc, min(chain) as chain from held group by uscc) own on own.uscc = t.uscc
)
select
    uscc, control_state,
    case when control_state = 'controlled' then holder_kind end as controller_kind,
    case when control_state = 'controlled' then shareholder_person_id end as controller_person_id,
    case when control_state = 'controlled' then shareholder_uscc end as controller_uscc,
    case when control_state = 'controlled' then investment_no end as controller_investment_no,
    case when control_state = 'controlled' then {{ chain_length('chain') }} end as control_depth,
    case when control_state = 'controlled' then {{ chain_rows('chain') }} else {{ chain_rows('own_chain') }} end
        as source_rows
from found
