-- 各县区户籍人口按性别、年龄段的人数；迁出、死亡和流入的人不计。Registered persons by county, sex and age band on the day
-- of the edition: who left the register, died or only lives here is not one of them.
with person as (
    select
        p.county_code,
        p.county_name,
        p.sex,
        {{ age_band(age_years('p.birth_date', 'e.as_of')) }} as age_band,
        e.as_of
    from {{ ref('lib_population__registered') }} p
    cross join {{ source('lake', 'edition') }} e
)
select county_code, county_name, sex, age_band, cast(count(*) as bigint) as persons, as_of
from person
group by county_code, county_name, sex, age_band, as_of
