-- 出生医学证明中写明父母的，一行一名新生儿；person_id 是母亲，不详时是父亲。
-- One row per newborn of whom a parent is known. `person_id` is the mother, or the father where she is not known.
{{ config(materialized='view') }}

select *
from (
    select
        birth_certificate_no, name, sex, {{ city_date('born_at') }} as born_on,
        coalesce(mother_person_id, father_person_id) as person_id,
        mother_person_id, father_person_id, _batch, _row
    from {{ ref('stg_hc__birth_certificate') }}
) b
where b.person_id is not null
