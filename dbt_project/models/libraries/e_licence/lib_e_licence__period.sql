-- 电子证照各时期的状态，一次变更后一行；供按标识核验“某日是否有效”。录入错误而删除的证照不在其中。
-- The status of licences over time, one row for what each change left, to ask whether a licence was good on a day. Not of
-- licences that were deleted as entered by mistake. A licence that a newer valid one of its type, holder and number replaced
-- says since which day: whatever its status, it is not good from then on.
select
    e.licence_identifier, e.change_no, e.since_day, e.until_day, e.licence_status, e.valid_from, e.valid_to,
    l.licence_type, l.licence_name, l.holder_type, l.holder_name, l.issuer_name, l.issuer_uscc, c.issued_on,
    l.superseded_since, d.as_of,
    replace(concat_ws(',', e.source_rows, l.source_rows), '},{', ',') as source_rows
from {{ ref('lib_e_licence__event') }} e
join {{ ref('stg_dsrb__e_licence_change') }} c on c.change_no = e.change_no
join {{ ref('lib_e_licence__licence') }} l on l.licence_identifier = e.licence_identifier
cross join {{ source('lake', 'edition') }} d
