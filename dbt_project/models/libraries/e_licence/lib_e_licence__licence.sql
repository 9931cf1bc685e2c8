-- 电子证照现状，一份证照一行；有效与否按统计时点判定。同一主体的同类证照只有最近颁发的一份有效；可有几份的类型，同一编号只有一份。
-- One row per licence as it is now; whether it is in force is said of the day of the edition. Of several of one type and
-- holder only the one issued last is; of a type of which a holder may have several, of those with one number. Where the
-- holder's number stands on two people the name tells them apart.
with valid as (
    select
        l.*,
        e.as_of, t._batch as type_batch, t._row as type_row,
        case when t.one_per_holder = '1' then '*' else coalesce(l.licence_no, '') end as distinct_no,
        case when l.holder_type = '1' and l.holder_id is null then coalesce(l.holder_name, '') else '' end as told_apart,
        greatest(l.issued_on, coalesce(l.valid_from, l.issued_on)) as begins,
        least(
            e.as_of, coalesce(l.valid_to, e.as_of),
            case when l.licence_status = '1' then e.as_of else {{ city_date('l.handled_at') }} end
        ) as last_day,
        case
            when l.licence_status = '1' and coalesce(l.valid_from, e.as_of) <= e.as_of
                and coalesce(l.valid_to, e.as_of) >= e.as_of
            then 1 else 0
        end as is_valid
    from {{ ref('stg_dsrb__e_licence') }} l
    cross join {{ source('lake', 'edition') }} e
    left join {{ ref('stg_dsrb__licence_type') }} t on t.licence_type = l.licence_type
),
-- 一份证照最后一日另有更新的有效证照，即自那份颁发并生效之日起被替代；其后到期的也是。
-- What replaced a licence is a newer one that was good on its last day, also where that day is over.
replaced as (
    select older.licence_identifier, min(newer.begins) as since
    from valid older
    join valid newer
        on newer.licence_type = older.licence_type and newer.holder_code = older.holder_code
        and newer.distinct_no = older.distinct_no and newer.told_apart = older.told_apart
        and newer.licence_status = '1'
        and coalesce(newer.valid_from, older.last_day) <= older.last_day
        and coalesce(newer.valid_to, older.last_day) >= older.last_day
        and (
            newer.issued_on > older.issued_on
            or (newer.issued_on = older.issued_on and newer.change_no > older.change_no)
        )
    group by older.licence_identifier
),
ranked as (
    select
        v.*, p.since as superseded_since,
        case when v.is_valid = 1 and p.since is not null then 1 else 0 end as is_superseded
    from valid v
    left join replaced p on p.licence_identifier = v.licence_identifier
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
    is_superseded = 1 as superseded,
    superseded_since,
    is_valid = 1 and is_superseded = 0 as in_force,
    handled_at, as_of,
    {{ source_rows(
        {'dsrb/e_licence': 'r'},
        {'dsrb/licence_type': "cast(r.type_batch as string) || ':' || cast(r.type_row as string)"}
    ) }} as source_rows
from ranked r
