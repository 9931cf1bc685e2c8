{# Whom a row is about. A right identity number stands for a claim; the linkage zone says which person a claim is (one
   person may have had several numbers), and whom rows without a right number are about. Staging asks here, so that every
   model after it has ids of persons. #}

{# The id of the person a claim stands for; NULL for a number that stands on two people, whose rows must not meet by it.
   `alias` as in `join_person`. #}
{% macro person_of(claim, alias='p') -%}
  case when {{ alias }}.claim is not null then {{ alias }}.person_id else {{ claim }} end
{%- endmacro %}


{% macro join_person(claim, alias='p') -%}
  left join {{ source('linkage', 'alias') }} {{ alias }} on {{ alias }}.claim = {{ claim }}
{%- endmacro %}


{# The same for a source whose rows may be linked: what the linkage says of a row holds, also that it is about nobody. #}
{% macro linked_person_of(claim) -%}
  case when k.row_key is not null then k.person_id else {{ person_of(claim) }} end
{%- endmacro %}


{% macro join_linked_person(dataset, row_key, claim) -%}
  left join {{ source('linkage', 'link') }} k on k.dataset = '{{ dataset }}' and k.row_key = {{ row_key }}
{{ join_person(claim) }}
{%- endmacro %}
