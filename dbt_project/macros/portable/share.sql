{# A part of a whole as a double; null where the whole is nothing. #}
{% macro share(part, whole) -%}
  (cast({{ part }} as double) / nullif(cast({{ whole }} as double), 0))
{%- endmacro %}
