-- 养老机构，一家一行。One row per institution for the elderly.
select
    uscc, institution_name, elderly_institution_type, county_code, beds, care_beds, occupied_beds, carers,
    fire_approved, medical_service, longitude, latitude, star_grade, _batch, _row
from {{ source('core', 'cab__elderly_institution') }}
