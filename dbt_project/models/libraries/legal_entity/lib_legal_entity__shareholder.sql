-- 公司股东及出资，一名股东在一家公司一行；写明向上追溯时在该股东处继续还是终止。只有登记库中的公司。
-- One row per shareholder of a registered company, and whether a walk along shares goes on at this shareholder or ends.
-- Where the registered shares of a company add up to more than everything, each counts for its part of the sum. A company
-- of the city of which no shareholder is known, or whose own registration was refused, has some nevertheless: `undisclosed`.
-- What is a state body or a collective its code says, also elsewhere.
with held as (
    select
        s.investment_no, a.uscc, s.shareholder_type, s.shareholder_name, s.shareholder_uscc, s.shareholder_person_id,
        s.subscribed_amount, s.paid_amount, s.share_ratio, s.contribution_way, s.contributed_on, s.source_updated_at,
        sum(s.share_ratio) over (partition by a.uscc) as registered,
        {{ source_rows({'amr/shareholder': 's', 'amr/enterprise': 'a'}) }} as source_rows
    from {{ ref('stg_amr__shareholder') }} s
    join {{ ref('int_legal_entity__enterprise') }} a on a.subject_no = s.subject_no
),
company as (
    select distinct uscc from held
)
select
    h.investment_no, h.uscc, h.shareholder_type, h.shareholder_name, h.shareholder_uscc, h.shareholder_person_id,
    h.subscribed_amount, h.paid_amount, h.share_ratio,
    cast({{ share('h.share_ratio', 'greatest(h.registered, 100)') }} as double) as held_share,
    case
        when h.shareholder_person_id is not null then 'person'
        when h.shareholder_uscc is null then 'unidentified'
        when substr(h.shareholder_uscc, 1, 2) in ('11', '12', '13', '19') then 'state'
        when substr(h.shareholder_uscc, 1, 2) in ('N1', 'N2', 'N3', 'N9') then 'collective'
        when c.uscc is not null then 'company'
        when e.entity_type in ('1100', '1130', '1200') then 'undisclosed'
        when e.uscc is null and substr(h.shareholder_uscc, 1, 2) = '91' and county.code is not null then 'undisclosed'
        when e.uscc is null then 'outside'
        else 'entity'
    end as holder_kind,
    case
        when h.shareholder_person_id is not null then 'P' || h.shareholder_person_id
        when h.shareholder_uscc is not null then 'E' || h.shareholder_uscc
        else 'U' || h.investment_no
    end as holder_key,
    h.contribution_way, h.contributed_on, h.source_updated_at, h.source_rows
from held h
left join {{ ref('lib_legal_entity__entity') }} e on e.uscc = h.shareholder_uscc
left join company c on c.uscc = h.shareholder_uscc
left join {{ ref('lib_geography__division') }} county on county.code = substr(h.shareholder_uscc, 3, 6)
