-- 各部门对同一人同一字段说法不一的，一项一行：采用值和未采用值都保留，退回未采用的部门核对。
-- One row per person, field and department that says otherwise than the one whose value is kept. Both values stay.
-- Marital status is compared by its first digit: 22 (remarried) is a kind of 20 (married).
{{ config(key='person_id') }}
{% set sources = {
    'psb/household_person': 'h', 'psb/floating_person': 'f', 'hrssb/insurance': 'i', 'hc/health_record': 'e',
    'cab/marriage': 'm', 'cab/cremation': 'c',
} %}
{% set found = disagreements(
    'population/person', sources, ['name', 'sex', 'birth_date', 'mobile', 'marital_status', 'died_on'],
    same={'marital_status': 'substr(?, 1, 1)'}) %}
with conflict as (
    select
        coalesce(h.person_id, f.person_id) as person_id,
        k.conflict_field,
        {{ of_disagreement(found, 'value_kept') }} as value_kept,
        {{ of_disagreement(found, 'value_other') }} as value_other,
        {{ of_disagreement(found, 'source_kept') }} as source_kept,
        k.source_other,
        {{ of_disagreement(found, 'row_kept') }} as row_kept,
        {{ of_disagreement(found, 'row_other') }} as row_other
    from {{ ref('int_population__register') }} h
    full outer join {{ ref('int_population__floating') }} f on f.person_id = h.person_id
    left join {{ ref('int_population__insured') }} i on i.person_id = coalesce(h.person_id, f.person_id)
    left join {{ ref('int_population__health_record') }} e on e.person_id = coalesce(h.person_id, f.person_id)
    left join {{ ref('int_population__marriage') }} m on m.person_id = coalesce(h.person_id, f.person_id)
    left join {{ ref('int_population__death') }} c on c.person_id = coalesce(h.person_id, f.person_id)
    cross join {{ disagreement_list(found) }}
    where {{ is_disagreement(found) }}
)
select
    person_id, conflict_field, value_kept, value_other, source_kept, source_other,
    '{"' || source_kept || '":"' || row_kept || '","' || source_other || '":"' || row_other || '"}' as source_rows
from conflict
