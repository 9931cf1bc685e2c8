-- 户籍人口，一人一行，供统计：在册且未死亡的人。One row per living person of the household register, for statistics.
select person_id, sex, birth_date, county_code, county_name, residence_status, source_rows
from {{ ref('lib_population__person') }}
where residence_status in ('1', '2')
