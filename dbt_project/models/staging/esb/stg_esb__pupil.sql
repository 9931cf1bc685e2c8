-- 中小学学籍，一行一名学生。One row per pupil.
select
    student_no, name, id_number, sex, school_code, school_name, grade, class_name, enrolment_date, pupil_status,
    division_code, left_behind, migrant_child,
    {{ person_of('r.person_id') }} as person_id,
    _batch, _row
from {{ source('core', 'esb__pupil') }} r
{{ join_person('r.person_id') }}
