-- 火化登记，一行一次火化。One row per cremation.
select
    death_certificate_no, id_number, name, died_on, death_place, cremated_on, funeral_home, source_updated_at,
    {{ person_of('r.person_id') }} as person_id,
    _batch, _row
from {{ source('core', 'cab__cremation') }} r
{{ join_person('r.person_id') }}
