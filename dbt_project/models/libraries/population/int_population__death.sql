-- 有火化登记的人，一人一行。One row per cremated person.
{{ config(materialized='view') }}

with ranked as (
    select
        *,
        row_number() over (
            partition by person_id
            order by source_updated_at desc nulls last, death_certificate_no asc nulls last
        ) as place
    from {{ ref('stg_cab__cremation') }}
)
select person_id, died_on, _batch, _row
from ranked
where place = 1
