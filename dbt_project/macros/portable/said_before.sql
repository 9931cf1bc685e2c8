{# When what is said of an entity elsewhere is older than its registration, and so was right then. The form is that of
   `unless` in survivorship.sql; the aliases are those of the legal entity library, `registers` those of the registers. #}
{% macro said_before(registers) %}
  {% set altered = of_first(registers, 'uscc', 'altered_on') %}
  {% set ended = of_first(registers, 'uscc', 'status_date') %}
  {% set known = 'coalesce(' ~ registers | join('.uscc, ') ~ '.uscc)' %}
  {% set declared, permitted, punished = 't.declared_on <= ' ~ altered, 'p.decided_on <= ' ~ altered, 'c.decided_on <= ' ~ altered %}
  {# The tax bureau is no register: its word on the status is never taken, and counts only if it came since the end. #}
  {{ return({
      'entity_name': {'txb/taxpayer': declared, 'drc/permit': permitted, 'drc/penalty': punished},
      'legal_representative': {'drc/permit': permitted, 'drc/penalty': punished},
      'entity_status': {'txb/taxpayer': known ~ ' is null or t.declared_on < ' ~ ended},
  }) }}
{% endmacro %}
