-- 电子证照的生命周期，一次变更一行：颁发、换发、变更、失效、暂停、恢复、注销、吊销、撤销，此前是什么状态，到哪一天。
-- One row per change of a licence: what happened to it, what it was before, and until which day it stayed so.
with change as (
    select
        c.*,
        {{ city_date('c.handled_at') }} as since_day,
        lag(c.licence_status) over (
            partition by c.licence_identifier order by c.change_no asc nulls last
        ) as status_before,
        lead({{ city_date('c.handled_at') }}) over (
            partition by c.licence_identifier order by c.change_no asc nulls last
        ) as until_day
    from {{ ref('stg_dsrb__e_licence_change') }} c
)
select
    change_no, licence_identifier,
    case
        when operation = 'D' then 'deleted'
        when operation = 'I' and associated_licence is not null then 'renewed'
        when operation = 'I' then 'issued'
        when licence_status = '1' and status_before = '7' then 'resumed'
        when licence_status = '1' then 'changed'
        when licence_status = '2' then 'expired'
        when licence_status = '3' then 'cancelled'
        when licence_status = '4' then 'revoked'
        when licence_status = '5' then 'withdrawn'
        when licence_status = '6' then 'replaced'
        when licence_status = '7' then 'suspended'
    end as licence_event,
    licence_status, status_before, since_day, until_day, valid_from, valid_to, licence_version, associated_licence,
    operation <> 'D' and coalesce(status_before in ('3', '4', '5', '6'), false) as after_end,
    handled_at,
    {{ source_rows({'dsrb/e_licence_change': 'c'}) }} as source_rows
from change c
