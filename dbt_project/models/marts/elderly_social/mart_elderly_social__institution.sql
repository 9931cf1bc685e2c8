-- 养老机构名录，一家一行。One row per institution for the elderly.
select
    i.uscc, i.institution_name, i.elderly_institution_type, i.county_code,
    county.division_name as county_name,
    i.beds, i.care_beds, i.occupied_beds, i.carers, i.fire_approved, i.medical_service, i.star_grade, i.longitude,
    i.latitude,
    {{ source_rows({'cab/elderly_institution': 'i'}) }} as source_rows
from {{ ref('stg_cab__elderly_institution') }} i
left join {{ ref('lib_geography__division') }} county on county.code = i.county_code
