-- 计入信用评分的事件，一行一件：法人的有效许可、公示期内的处罚、在列的名单、已核查的承诺，都在权重表写明的年数之内。
-- One row per event that counts in the score of a legal person: valid permits, penalties in time of publicity, lists the
-- subject is in, commitments that were checked; all within the years that the weights say. A penalty is minor if both its
-- kinds are warnings, fines or confiscations, which take less than 5000 yuan together: the law weighs what is confiscated as
-- it weighs a fine. What takes an amount that is not told is not minor.
with event as (
    select uscc, 'permit' as factor_code, credit_record_no as event_no, decided_on as event_on, source_rows
    from {{ ref('lib_credit__permit') }}
    where document_status = '1'
    union all
    select
        p.uscc,
        case
            when p.penalty_category in ('1', '2')
                and coalesce(p.penalty_category_2, p.penalty_category) in ('1', '2')
                and coalesce(
                    coalesce(p.fine_amount + p.confiscated_amount, p.fine_amount, p.confiscated_amount) < 0.5,
                    p.penalty_category = '1' and coalesce(p.penalty_category_2, '1') = '1'
                )
            then 'fine_minor'
            else 'fine_major'
        end as factor_code,
        p.credit_record_no as event_no, p.decided_on as event_on, p.source_rows
    from {{ ref('lib_credit__penalty') }} p
    cross join {{ source('lake', 'edition') }} d
    where p.document_status = '1' and p.public_until >= d.as_of
    union all
    select
        uscc,
        case when list_type = '9' then 'honour' when list_type in ('3', '6') then 'list_minor' else 'list_serious' end
            as factor_code,
        list_record_no as event_no, listed_on as event_on, source_rows
    from {{ ref('lib_credit__listing') }}
    where in_list
    union all
    select
        uscc, case when commitment_status = '1' then 'kept' else 'broken' end as factor_code,
        commitment_no as event_no, checked_on as event_on, source_rows
    from {{ ref('lib_credit__commitment') }}
    where commitment_status in ('1', '2')
)
select e.uscc, e.factor_code, e.event_no, e.event_on, e.source_rows
from event e
join {{ ref('lib_legal_entity__entity') }} n on n.uscc = e.uscc
join {{ ref('stg_drc__credit_weight') }} w on w.factor_code = e.factor_code
cross join {{ source('lake', 'edition') }} d
where n.entity_class <> '92' and coalesce(n.entity_type, '') <> '9500' and e.event_on <= d.as_of
    and {{ age_years('e.event_on', 'd.as_of') }} < w.window_years
