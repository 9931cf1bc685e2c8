-- 电子证照现状，一份证照一行；有效与否按统计时点判定。同一类型、主体、编号只有最近颁发的一份有效。
-- One row per licence as it is now; whether it is in force is said of the day of the edition. Of several of one type,
-- holder and number only the one issued last is. Where the holder's number stands on two people the name tells them apart.
with valid as (
    select
        l.*,
        e.as_of,
        case
            when l.licence_status = '1' and coalesce(l.valid_from, e.as_of) <= e.as_of
                and coalesce(l.valid_to, e.as_of) >= e.as_of
            then 1 else 0
        end as is_valid
    from {{ ref('stg_dsrb__e_licence') }} l
    cross join {{ source('lake', 'edition') }} e
),
ranked as (
    select
        *,
        row_number() over (
            partition by
                licence_type, holder_code, licence_no, is_valid,
                case when holder_type = '1' and holder_id is null then holder_name end
            order by issued_on desc nulls last, change_no desc nulls last
        ) as place,
        lag(greatest(issued_on, coalesce(valid_from, issued_on))) over (
            partition by
                licence_type, holder_code, licence_no, is_valid,
                case when holder_type = '1' and holder_id is null then holder_name end
            order by issued_on desc nulls last, change_no desc nulls last
        ) as newer_since
    from valid
)
select
    licence_identifier, licence_type, licence_name, licence_no,
    case when holder_type = '2' then licence_no end as entity_licence_no,
    holder_type, holder_name, holder_code_type,
    case when holder_type = '1' then holder_id end as holder_person_id,
    case when holder_type = '2' then holder_code end as holder_uscc,
    issuer_name, issuer_uscc, issued_on, valid_from, valid_to,
    valid_to is null as long_term,
    licence_version, associated_licence, case_no, county_code, file_format, file_hash, licence_status,
    is_valid = 1 and place > 1 as superseded,
    case when is_valid = 1 then newer_since end as superseded_since,
    is_valid = 1 and place = 1 as in_force,
    handled_at, as_of,
    {{ source_rows({'dsrb/e_licence': 'r'}) }} as source_rows
from ranked r
