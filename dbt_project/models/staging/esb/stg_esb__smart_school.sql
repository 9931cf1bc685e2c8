-- 中小学和智慧学校，一校一行。One row per school.
select
    school_code, school_name, county_code, school_place, smart_school_grade, smart_school_since, multimedia_rooms,
    bandwidth_mbps, _batch, _row
from {{ source('core', 'esb__smart_school') }}
