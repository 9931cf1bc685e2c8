{# Whom a record of credit is about: its social credit code or, of a natural person, the id of the person. #}
{% macro credit_subject(record) -%}
  coalesce({{ record }}.uscc, {{ record }}.subject_person_id)
{%- endmacro %}
