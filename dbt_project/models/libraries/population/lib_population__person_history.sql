-- 自然人的变化史，一人一项变化一行：改前、改后、何时起为真、何时得知。只追加。
-- The history of persons: one row for each cell that changed between two releases.
{{ config(incremental_strategy='append') }}
{% set since_status = "case n.residence_status when '5' then n.died_on when '4' then n.moved_out_on end" %}
{{ history(ref('lib_population__person'), 'person_id', [
    'id_number', 'name', 'former_name', 'sex', 'ethnicity', 'birth_date', 'household_no', 'household_relation',
    'division_code', 'county_code', 'county_name', 'town_code', 'town_name', 'address', 'residence_division', 'residence_address',
    'origin_county', 'education', 'marital_status', 'mobile', 'birth_place', 'native_place', 'registration_kind',
    'military_status', 'police_station', 'residents_group', 'residence_permit_no', 'died_on', 'moved_out_on', 'death_certificate_no',
    'death_kind', 'move_out_kind', 'cancelled_on', 'residence_status', 'residence_evidence',
], 'source_updated_at', {
    'died_on': 'n.died_on', 'death_certificate_no': 'n.died_on', 'death_kind': 'n.died_on',
    'moved_out_on': 'n.moved_out_on', 'move_out_kind': 'n.moved_out_on', 'cancelled_on': 'n.cancelled_on',
    'residence_status': since_status, 'residence_evidence': since_status,
}) }}
