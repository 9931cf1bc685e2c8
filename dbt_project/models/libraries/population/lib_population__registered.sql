-- 户籍人口，一人一行，供统计：在册且未死亡的人，年龄段以版次当日为准。
-- One row per living person of the household register, for statistics. The age band is that on the day of the edition, so
-- that a count by bands can be asked for the persons it counts.
select
    p.person_id, p.sex, p.birth_date,
    {{ age_band(age_years('p.birth_date', 'e.as_of')) }} as age_band,
    p.county_code, p.county_name, p.residence_status, p.source_rows
from {{ ref('lib_population__person') }} p
cross join {{ source('lake', 'edition') }} e
where p.residence_status in ('1', '2')
