-- 即将到期的有效证照，一份一行：有效期止在统计时点之后、提醒天数之内。
-- The licences in force that end within the days of notice of their type, counted from the day of the edition.
with counted as (
    select
        l.*, w.warn_days, w._batch, w._row,
        {{ days_since_2000('l.valid_to') }} - {{ days_since_2000('l.as_of') }} as days_left
    from {{ ref('lib_e_licence__licence') }} l
    join {{ ref('stg_dsrb__licence_expiry') }} w on w.licence_type = l.licence_type
    where l.in_force and l.valid_to is not null
)
select
    licence_identifier, licence_type, licence_name, holder_type, holder_person_id, holder_uscc, issuer_name,
    issuer_uscc, valid_to, warn_days, cast(days_left as bigint) as days_left, as_of,
    replace(concat_ws(',', c.source_rows, {{ source_rows({'dsrb/licence_expiry': 'c'}) }}), '},{', ',') as source_rows
from counted c
where days_left <= warn_days
