-- 各县区户籍人口按性别、年龄段的人数。Registered persons by county, sex and age band on the day of the edition.
with person as (
    select
        p.county_code,
        p.county_name,
        p.sex,
        {{ age_band(age_years('p.birth_date', 'e.as_of')) }} as age_band,
        e.as_of
    from {{ ref('lib_population__person') }} p
    cross join {{ source('lake', 'edition') }} e
)
select county_code, county_name, sex, age_band, cast(count(*) as bigint) as persons, as_of
from person
group by county_code, county_name, sex, age_band, as_of
