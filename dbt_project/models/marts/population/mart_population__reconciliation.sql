-- 人口库与公安户籍日报核对，一镇一日一行：日报人数、库内在册人数、差额，出生医学证明与在册新生儿；没有日报（未报或被拒收）的乡镇也有一行，日报各数为空。逐日保留。
-- The library held against the household office's own count: what the newest report of each town says, whom the library
-- knows to stand in the register, how many of these are dead by other registers, and the difference. A day stays as it was.
-- So are households, sexes, and who was struck off on the day of the report because of death or because of moving away.
-- The register does not say on which day somebody was entered, so births of the day cannot be: hospitals' certificates say
-- how many children were born, and are held against the register's children born in the same 90 days, which end 31 days
-- before the day of the edition, for a birth is to be registered within a month. Children may be born in another city, and
-- registered in the other parent's town.
-- A town whose reports are all missing or refused is a row too, without the figures of a report: sums are of all towns.
{{ config(incremental_strategy='replace_partition', partition_by=['as_of']) }}
with reported as (
    select
        r.town_code, r.report_day, r.registered_persons, r.registered_households, r.registered_males,
        r.registered_females, r.deaths_registered, r.departures_registered,
        row_number() over (
            partition by r.town_code order by r.report_day desc nulls last, r.population_report_no asc nulls last
        ) as place
    from {{ ref('stg_psb__population_report') }} r
),
listed as (
    select
        substr(h.division_code, 1, 9) as town_code,
        cast(count(*) as bigint) as persons_listed,
        cast(sum(case when p.residence_status = '5' then 1 else 0 end) as bigint) as persons_dead_listed,
        cast(count(distinct h.household_no) as bigint) as households_listed,
        cast(sum(case when h.sex = '1' then 1 else 0 end) as bigint) as males_listed,
        cast(sum(case when h.sex = '2' then 1 else 0 end) as bigint) as females_listed
    from {{ ref('int_population__register') }} h
    join {{ ref('lib_population__person') }} p on p.person_id = h.person_id
    where h.registered = 1
    group by substr(h.division_code, 1, 9)
),
struck_off as (
    select
        substr(h.division_code, 1, 9) as town_code,
        h.cancelled_on,
        cast(sum(case when h.died_on is not null then 1 else 0 end) as bigint) as deaths_listed,
        cast(sum(case when h.died_on is null and h.moved_out_on is not null then 1 else 0 end) as bigint)
            as departures_listed
    from {{ ref('int_population__register') }} h
    where h.registered = 0 and h.cancelled_on is not null
    group by substr(h.division_code, 1, 9), h.cancelled_on
),
child as (
    select substr(division_code, 1, 9) as town_code, {{ city_date('born_at') }} as born_on, 1 as certified
    from {{ ref('stg_hc__birth_certificate') }}
    union all
    select substr(division_code, 1, 9), birth_date, 0
    from {{ ref('int_population__register') }}
),
born as (
    select
        c.town_code,
        cast(sum(c.certified) as bigint) as births_certified,
        cast(sum(1 - c.certified) as bigint) as births_listed
    from child c
    cross join {{ source('lake', 'edition') }} e
    where c.born_on > cast(e.as_of - interval '121' day as date) and c.born_on <= cast(e.as_of - interval '31' day as date)
    group by c.town_code
)
select
    county.code as county_code,
    county.division_name as county_name,
    town.code as town_code,
    town.division_name as town_name,
    r.report_day,
    coalesce(l.persons_dead_listed, 0) as persons_dead_listed,
    {% for figure in ('persons', 'households', 'males', 'females') %}
    r.registered_{{ figure }},
    coalesce(l.{{ figure }}_listed, 0) as {{ figure }}_listed,
    cast(r.registered_{{ figure }} - coalesce(l.{{ figure }}_listed, 0) as bigint) as {{ figure }}_missing,
    cast({{ share('r.registered_' ~ figure ~ ' - coalesce(l.' ~ figure ~ '_listed, 0)', 'r.registered_' ~ figure) }} as double)
        as {{ 'missing_share' if figure == 'persons' else figure ~ '_missing_share' }},
    {% endfor %}
    {% for figure in ('deaths', 'departures') %}
    r.{{ figure }}_registered,
    coalesce(s.{{ figure }}_listed, 0) as {{ figure }}_listed,
    cast(r.{{ figure }}_registered - coalesce(s.{{ figure }}_listed, 0) as bigint) as {{ figure }}_missing,
    {% endfor %}
    coalesce(b.births_certified, 0) as births_certified,
    coalesce(b.births_listed, 0) as births_listed,
    cast(coalesce(b.births_certified, 0) - coalesce(b.births_listed, 0) as bigint) as births_missing,
    e.as_of
from {{ ref('lib_geography__division') }} town
join {{ ref('lib_geography__division') }} county on county.code = substr(town.code, 1, 6)
left join reported r on r.town_code = town.code and r.place = 1
left join listed l on l.town_code = town.code
left join struck_off s on s.town_code = town.code and s.cancelled_on = r.report_day
left join born b on b.town_code = town.code
cross join {{ source('lake', 'edition') }} e
where town.division_level = 'town'
