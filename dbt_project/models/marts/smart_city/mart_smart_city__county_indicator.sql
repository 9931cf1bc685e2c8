-- 县区指标，一项指标一个县区一行。One row per indicator and county; numerator and denominator stand beside the value.
with county as (
    select code as county_code, division_name as county_name
    from {{ ref('lib_geography__division') }}
    where division_level = 'county'
),
registered as (
    select
        county_code,
        cast(count(*) as double) as persons,
        cast(sum(case when residence_status = '1' then 1 else 0 end) as double) as residents
    from {{ ref('lib_population__registered') }}
    group by county_code
),
record as (
    select
        substr(coalesce(p.residence_division, p.division_code), 1, 6) as county_code,
        cast(count(distinct p.person_id) as double) as persons
    from {{ ref('stg_hc__health_record') }} h
    join {{ ref('lib_population__person') }} p on p.person_id = h.person_id
    where h.record_status = '1' and p.residence_status in ('1', '2', '3')
    group by substr(coalesce(p.residence_division, p.division_code), 1, 6)
),
cases as (
    select county_code, cast(count(*) as double) as finished, cast(sum(case when on_time then 1 else 0 end) as double) as on_time
    from {{ ref('mart_gov_service__case') }}
    where finished_at is not null
    group by county_code
),
grades as (
    select county_code, cast(sum(evaluations) as double) as evaluations, cast(sum(satisfied) as double) as satisfied
    from {{ ref('mart_gov_service__evaluation_month') }}
    group by county_code
),
entities as (
    select county_code, cast(count(*) as double) as active
    from {{ ref('lib_legal_entity__entity') }}
    where entity_status = '1' and register_source = 'amr/enterprise'
    group by county_code
),
air as (
    select
        a.county_code,
        cast(sum(a.aqi) as double) as aqi,
        cast(count(*) as double) as days,
        cast(sum(case when a.aqi <= 100 then 1 else 0 end) as double) as good_days
    from {{ ref('mart_eco_env__aqi_day') }} a
    join (select max(day) as last_day from {{ ref('mart_eco_env__aqi_day') }} where aqi is not null) l
        on a.day > cast(l.last_day - interval '30' day as date)
    where a.aqi is not null
    group by a.county_code
),
measured as (
    select 'registered_population' as indicator_code, county_code, persons as numerator, cast(null as double) as denominator,
        persons as value, cast(null as string) as period
    from registered
    union all
    select 'resident_share', county_code, residents, persons, ({{ share('residents', 'persons') }}) * 100, cast(null as string) from registered
    union all
    select 'health_record_coverage', r.county_code, r.persons, o.series_value * 10000,
        ({{ share('r.persons', 'o.series_value * 10000') }}) * 100, o.period
    from record r
    join {{ newest_observation('resident_population') }} o on o.area_code = r.county_code
    union all
    select 'case_on_time_rate', county_code, on_time, finished, ({{ share('on_time', 'finished') }}) * 100, cast(null as string) from cases
    union all
    select 'satisfaction_rate', county_code, satisfied, evaluations, ({{ share('satisfied', 'evaluations') }}) * 100, cast(null as string)
    from grades
    union all
    select 'entities_per_thousand', e.county_code, e.active, r.persons, ({{ share('e.active', 'r.persons') }}) * 1000, cast(null as string)
    from entities e
    join registered r on r.county_code = e.county_code
    union all
    select 'aqi_mean', county_code, aqi, days, {{ share('aqi', 'days') }}, cast(null as string) from air
    union all
    select 'good_day_rate', county_code, good_days, days, ({{ share('good_days', 'days') }}) * 100, cast(null as string) from air
)
select
    i.indicator_code, i.indicator_name, i.unit, i.numerator_definition, i.denominator_definition, c.county_code, c.county_name, m.period, m.numerator, m.denominator,
    cast(round(m.value, 4) as double) as value,
    e.as_of
from {{ ref('stg_dsrb__county_indicator') }} i
cross join county c
cross join {{ source('lake', 'edition') }} e
left join measured m on m.indicator_code = i.indicator_code and m.county_code = c.county_code
