-- 自然人，一人一行：户籍登记和流动人口登记中出现过的每一个人。各字段按一数一源规则取值，人口状态由登记证据判定。
-- One row per person who ever stood in the household or the floating register. Each field has the value of the first
-- department that authority.yaml names and that has one; what the others say is kept in lib_population__conflict.
-- A health record that was opened or followed up before the household register last changed does not say where somebody
-- lives: people have moved since, and nobody has looked.
-- Dead is who was cremated, whatever the household register still lists, and whom the register itself cancelled as dead.
{{ config(key='person_id', fixed=['lib_geography__division']) }}
{% set sources = {
    'psb/household_person': 'h', 'psb/floating_person': 'f', 'hrssb/insurance': 'i', 'hc/health_record': 'e',
    'cab/marriage': 'm', 'cab/cremation': 'c',
} %}
{% set library = 'population/person' %}
{% set moved_since = {'hc/health_record': 'e.said_on < ' ~ city_date('h.source_updated_at')} %}
{% set unless = {'residence_division': moved_since, 'residence_address': moved_since} %}
with person as (
    select
        coalesce(h.person_id, f.person_id) as person_id,
        {{ survive(library, 'id_number', sources) }} as id_number,
        {{ survive(library, 'name', sources) }} as name,
        {{ survive(library, 'former_name', sources) }} as former_name,
        {{ survive(library, 'sex', sources) }} as sex,
        {{ survive(library, 'ethnicity', sources) }} as ethnicity,
        {{ survive(library, 'birth_date', sources) }} as birth_date,
        {{ survive(library, 'household_no', sources) }} as household_no,
        {{ survive(library, 'household_relation', sources) }} as household_relation,
        {{ survive(library, 'division_code', sources) }} as division_code,
        {{ survive(library, 'address', sources) }} as address,
        {{ survive(library, 'residence_division', sources, unless) }} as residence_division,
        {{ survive(library, 'residence_address', sources, unless) }} as residence_address,
        {{ survive(library, 'origin_county', sources) }} as origin_county,
        {{ survive(library, 'education', sources) }} as education,
        {{ survive(library, 'marital_status', sources) }} as marital_status,
        {{ survive(library, 'mobile', sources) }} as mobile,
        {{ survive(library, 'birth_place', sources) }} as birth_place,
        {{ survive(library, 'native_place', sources) }} as native_place,
        {{ survive(library, 'registration_kind', sources) }} as registration_kind,
        {{ survive(library, 'military_status', sources) }} as military_status,
        {{ survive(library, 'police_station', sources) }} as police_station,
        {{ survive(library, 'residents_group', sources) }} as residents_group,
        {{ survive(library, 'residence_permit_no', sources) }} as residence_permit_no,
        {{ survive(library, 'died_on', sources) }} as died_on,
        {{ survive(library, 'moved_out_on', sources) }} as moved_out_on,
        {{ survive(library, 'death_certificate_no', sources) }} as death_certificate_no,
        {{ survive(library, 'death_kind', sources) }} as death_kind,
        {{ survive(library, 'move_out_kind', sources) }} as move_out_kind,
        {{ survive(library, 'cancelled_on', sources) }} as cancelled_on,
        {{ survive(library, 'source_updated_at', sources) }} as source_updated_at,
        case
            when c.person_id is not null then 'cremated'
            when h.died_on is not null then 'register_death'
            when h.registered = 1 and substr(f.residence_division, 1, 6) <> substr(h.division_code, 1, 6)
                then 'registered_away'
            when h.registered = 1 then 'registered'
            when f.floating_status = '1' then 'floating'
            when h.moved_out_on is not null then 'register_moved_out'
            when h.registered = 0 then 'left_register'
            else 'floating_ended'
        end as residence_evidence,
        {{ attr_source(library, sources, unless) }} as attr_source,
        {{ source_rows(sources, {
            'cab/cremation#spouse': "case when m.spouse_death_source = 'cab/cremation' then m.spouse_death_row end",
            'psb/household_person#spouse':
                "case when m.spouse_death_source = 'psb/household_person' then m.spouse_death_row end",
        }) }} as source_rows
    from {{ ref('int_population__register') }} h
    full outer join {{ ref('int_population__floating') }} f on f.person_id = h.person_id
    left join {{ ref('int_population__insured') }} i on i.person_id = coalesce(h.person_id, f.person_id)
    left join {{ ref('int_population__health_record') }} e on e.person_id = coalesce(h.person_id, f.person_id)
    left join {{ ref('int_population__marriage') }} m on m.person_id = coalesce(h.person_id, f.person_id)
    left join {{ ref('int_population__death') }} c on c.person_id = coalesce(h.person_id, f.person_id)
)
select
    p.person_id, p.id_number, p.name, p.former_name, p.sex, p.ethnicity, p.birth_date, p.household_no,
    p.household_relation, p.division_code,
    county.code as county_code,
    county.division_name as county_name,
    town.code as town_code,
    town.division_name as town_name,
    p.address, p.residence_division, p.residence_address, p.origin_county, p.education, p.marital_status, p.mobile,
    p.birth_place, p.native_place, p.registration_kind, p.military_status, p.police_station, p.residents_group,
    p.residence_permit_no,
    p.died_on, p.moved_out_on, p.death_certificate_no, p.death_kind, p.move_out_kind, p.cancelled_on,
    case p.residence_evidence
        when 'cremated' then '5'
        when 'register_death' then '5'
        when 'registered_away' then '2'
        when 'registered' then '1'
        when 'floating' then '3'
        else '4'
    end as residence_status,
    p.residence_evidence, p.source_updated_at, p.attr_source, p.source_rows
from person p
left join {{ ref('lib_geography__division') }} county on county.code = substr(p.division_code, 1, 6)
left join {{ ref('lib_geography__division') }} town on town.code = substr(p.division_code, 1, 9)
