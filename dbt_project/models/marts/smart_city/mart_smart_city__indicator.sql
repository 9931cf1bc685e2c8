-- 规划指标，一项指标一个目标年一行。One row per indicator of the plan and target year.
-- A value stands only where its numerator has a source; numerator and denominator stand beside it. Targets that are
-- words stay words; a target is judged by figures of its year or a later one. 常住人口 is the official series, never a count of our own persons.
with record as (
    select cast(count(distinct h.person_id) as double) as persons
    from {{ ref('stg_hc__health_record') }} h
    join {{ ref('lib_population__person') }} p on p.person_id = h.person_id
    where h.record_status = '1' and p.residence_status in ('1', '2', '3')
),
-- the newest year of which both figures are out: they are published months apart
digital as (
    select
        g.period, d.series_value as numerator, g.series_value as denominator, p.series_value as benchmark_value,
        row_number() over (order by g.period desc nulls last) as place
    from {{ observations('gdp') }} g
    join {{ observations('digital_core_value_added') }} d on d.area_code = g.area_code and d.period = g.period
    left join {{ observations('digital_core_share_province') }} p on p.area_code = '340000' and p.period = g.period
    where g.area_code = '341500'
),
stations as (
    select cast(count(*) as double) as stations
    from {{ ref('stg_eitb__base_station') }}
    where facility_status = '1'
),
schools as (
    select
        cast(sum(case when smart_school_grade in ('1', '2') then 1 else 0 end) as double) as smart,
        cast(count(*) as double) as schools
    from {{ ref('stg_esb__smart_school') }}
    where school_place = '3'
),
measured as (
    select
        'K01' as indicator_code,
        substr(cast(e.as_of as string), 1, 7) as period,
        s.stations as numerator,
        cast(null as double) as denominator,
        cast(null as double) as benchmark_value
    from stations s
    cross join {{ source('lake', 'edition') }} e
    where s.stations > 0
    union all
    select 'K13', substr(cast(e.as_of as string), 1, 7), s.smart, s.schools, cast(null as double)
    from schools s
    cross join {{ source('lake', 'edition') }} e
    where s.schools > 0
    union all
    select
        'K15' as indicator_code,
        r.period,
        c.persons as numerator,
        cast(r.series_value * 10000 as double) as denominator,
        cast(null as double) as benchmark_value
    from {{ newest_observation('resident_population') }} r
    cross join record c
    where r.area_code = '341500'
    union all
    select
        'K19', period, cast(numerator as double), cast(denominator as double), cast(benchmark_value as double)
    from digital
    where place = 1
),
valued as (
    select
        *,
        case
            when indicator_code = 'K01' then numerator
            else round(({{ share('numerator', 'denominator') }}) * 100, 4)
        end as value
    from measured
)
select
    t.indicator_code, i.direction, i.indicator_name, i.unit, i.plan_id, i.owner, i.numerator_definition,
    i.denominator_definition,
    t.target_year, t.target_text, t.target_kind, t.comparison, t.target_value,
    v.numerator, v.denominator, v.value, v.benchmark_value, v.period,
    case when i.numerator_source is null then 'no_source' when v.value is null then 'pending' else 'value' end as status,
    i.missing_source,
    case
        when v.value is null or cast(substr(v.period, 1, 4) as int) < t.target_year then 'not_applicable'
        when t.target_kind = 'numeric' and t.comparison = '>' then case when v.value > t.target_value then 'yes' else 'no' end
        when t.target_kind = 'numeric' then case when v.value >= t.target_value then 'yes' else 'no' end
        when t.target_kind = 'benchmark' and v.benchmark_value is not null
            then case when v.value >= v.benchmark_value then 'yes' else 'no' end
        else 'not_applicable'
    end as attained,
    e.as_of
from {{ ref('stg_dsrb__plan_target') }} t
join {{ ref('stg_dsrb__plan_indicator') }} i on i.indicator_code = t.indicator_code
cross join {{ source('lake', 'edition') }} e
left join valued v on v.indicator_code = t.indicator_code
