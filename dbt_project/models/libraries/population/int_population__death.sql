-- 有火化登记的人，一人一行。One row per cremated person.
{{ config(materialized='view') }}

select person_id, died_on, death_certificate_no, _batch, _row
from {{ first_of_each(
    ref('stg_cab__cremation'), 'person_id', 'source_updated_at desc nulls last, death_certificate_no asc nulls last'
) }} r
