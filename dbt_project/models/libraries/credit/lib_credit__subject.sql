-- 信用主体，一个统一社会信用代码一行：有效许可、公示期内处罚的数量和最近日期；来源行是最近的许可和处罚。
-- One row per code with a valid permit or penalty: how many and the last of each, whose rows are named. A penalty whose
-- publicity has ended, or that is repaired, is not told of here either; so a row may be shown until the first of those
-- that it counts ends, and with other figures afterwards.
with decision as (
    select uscc, 1 as permit, decided_on, cast(null as date) as public_until, credit_record_no, source_rows
    from {{ ref('lib_credit__permit') }}
    where uscc is not null and document_status = '1'
    union all
    select p.uscc, 0 as permit, p.decided_on, p.public_until, p.credit_record_no, p.source_rows
    from {{ ref('lib_credit__penalty') }} p
    cross join {{ source('lake', 'edition') }} d
    where p.uscc is not null and p.document_status = '1' and p.public_until >= d.as_of
),
ranked as (
    select
        *,
        row_number() over (
            partition by uscc, permit order by decided_on desc nulls last, credit_record_no asc nulls last
        ) as place
    from decision
),
subject as (
    select
        uscc,
        cast(sum(permit) as bigint) as permits,
        cast(sum(1 - permit) as bigint) as penalties,
        max(case when permit = 1 then decided_on end) as last_permit_on,
        max(case when permit = 0 then decided_on end) as last_penalty_on,
        min(public_until) as public_until,
        max(case when permit = 1 and place = 1 then source_rows end) as permit_rows,
        max(case when permit = 0 and place = 1 then source_rows end) as penalty_rows
    from ranked
    group by uscc
)
select
    s.uscc, e.entity_name, e.public_name,
    e.uscc is not null as entity_known,
    s.permits, s.penalties, s.last_permit_on, s.last_penalty_on, s.public_until,
    replace(concat_ws(',', s.permit_rows, s.penalty_rows), '},{', ',') as source_rows
from subject s
left join {{ ref('lib_legal_entity__entity') }} e on e.uscc = s.uscc
