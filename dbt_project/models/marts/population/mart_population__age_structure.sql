-- 各县区户籍人口按性别、年龄段的人数；迁出、死亡和流入的人不计。Registered persons by county, sex and age band on the day
-- of the edition: who left the register, died or only lives here is not one of them.
select p.county_code, p.county_name, p.sex, p.age_band, cast(count(*) as bigint) as persons, e.as_of
from {{ ref('lib_population__registered') }} p
cross join {{ source('lake', 'edition') }} e
group by p.county_code, p.county_name, p.sex, p.age_band, e.as_of
