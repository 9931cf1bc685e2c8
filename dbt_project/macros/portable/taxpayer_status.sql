{# When what the tax bureau says of an entity's status does not count: it is no register, so it is never taken, and it is
   held against a register only if it was declared since that says that the entity ended. `registers` are the aliases of
   the registers, the tax bureau's is `t`. The form is that of `unless` in survivorship.sql. #}
{% macro declared_before_the_end(registers) %}
  {% set known = 'coalesce(' ~ registers | join('.uscc, ') ~ '.uscc)' %}
  {{ return({'entity_status': {
      'txb/taxpayer': known ~ ' is null or t.declared_on < ' ~ of_first(registers, 'uscc', 'status_date'),
  }}) }}
{% endmacro %}
