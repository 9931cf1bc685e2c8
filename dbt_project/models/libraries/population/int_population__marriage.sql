-- 有婚姻登记的人，一人一行：最近一次结婚或离婚登记。补领不改变婚姻；其后被撤销的结婚登记自始无效。
-- One row per person: the latest marriage or divorce. A reissued certificate changes nothing, and a marriage that was
-- annulled next never was one. After the death of the spouse the person is widowed.
{{ config(materialized='view') }}

with events as (
    select
        *,
        lead(marriage_registration_type) over (
            partition by male_person_id, female_person_id
            order by registered_on nulls last, source_updated_at nulls last, marriage_registration_no nulls last
        ) as next_type
    from {{ ref('stg_cab__marriage') }}
    where marriage_registration_type in ('1', '2', '4')
),
counting as (
    select * from events
    where marriage_registration_type = '2'
        or (marriage_registration_type = '1' and coalesce(next_type, '') <> '4')
),
persons as (
    select *, male_person_id as person_id, female_person_id as spouse_id from counting
    union all
    select *, female_person_id as person_id, male_person_id as spouse_id from counting
),
ranked as (
    select
        *,
        row_number() over (
            partition by person_id
            order by registered_on desc nulls last, source_updated_at desc nulls last,
                marriage_registration_no desc nulls last
        ) as place
    from persons
    where person_id is not null  -- of a person who was erased
)
select
    p.person_id,
    p.spouse_id,
    p.marriage_registration_no,
    p.marriage_registration_type,
    p.registered_on,
    case
        when p.marriage_registration_type = '2' then '40'
        when d.person_id is not null then '30'
        else '20'
    end as marital_status,
    case when p.marriage_registration_type = '1' then d.told_by end as spouse_death_source,
    case when p.marriage_registration_type = '1' then {{ source_row('d') }} end as spouse_death_row,
    p._batch, p._row
from ranked p
left join {{ ref('int_population__dead') }} d on d.person_id = p.spouse_id
where p.place = 1
