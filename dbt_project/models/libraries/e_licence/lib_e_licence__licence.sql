-- 电子证照现状，一份证照一行；有效与否按统计时点判定。同一主体的同类证照只有最近颁发的一份有效；可有几份的类型，同一编号只有一份。
-- One row per licence as it is now; whether it is in force is said of the day of the edition. Of several of one type and
-- holder only the one issued last is; of a type of which a holder may have several, of those with one number. Where the
-- holder's number stands on two people the name tells them apart.
with valid as (
    select
        l.*,
        e.as_of, t._batch as type_batch, t._row as type_row,
        case when t.one_per_holder = '1' then '*' else l.licence_no end as distinct_no,
        case
            when l.licence_status = '1' and coalesce(l.valid_from, e.as_of) <= e.as_of
                and coalesce(l.valid_to, e.as_of) >= e.as_of
            then 1 else 0
        end as is_valid
    from {{ ref('stg_dsrb__e_licence') }} l
    cross join {{ source('lake', 'edition') }} e
    left join {{ ref('stg_dsrb__licence_type') }} t on t.licence_type = l.licence_type
),
ranked as (
    select
        *,
        row_number() over (
            partition by
                licence_type, holder_code, distinct_no, is_valid,
                case when holder_type = '1' and holder_id is null then holder_name end
            order by issued_on desc nulls last, change_no desc nulls last
        ) as place,
        lag(greatest(issued_on, coalesce(valid_from, issued_on))) over (
            partition by
                licence_type, holder_code, distinct_no, is_valid,
                case when holder_type = '1' and holder_id is null then holder_name end
            order by issued_on desc nulls last, change_no desc nulls last
        ) as newer_since
    from valid
)
select
    licence_identifier, licence_type, licence_name,
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
    {{ source_rows(
        {'dsrb/e_licence': 'r'},
        {'dsrb/licence_type': "cast(r.type_batch as string) || ':' || cast(r.type_row as string)"}
    ) }} as source_rows
from ranked r
