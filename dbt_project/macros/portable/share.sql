{# A part of a whole as a double, to twelve decimals; null where the whole is nothing or unknown. #}
{% macro share(part, whole) -%}
  {{ return(adapter.dispatch('share')(part, whole)) }}
{%- endmacro %}


{% macro default__share(part, whole) -%}
  round(cast({{ part }} as double) / nullif(cast({{ whole }} as double), 0), 12)
{%- endmacro %}


{# Sail 0.7.2 guards a division with raise_error() and runs that for a batch without rows as well: whatever divides fails
   wherever a partition is empty. A reciprocal does not, and differs from division only behind the twelfth decimal. #}
{% macro spark__share(part, whole) -%}
  round(cast({{ part }} as double) * pow(nullif(cast({{ whole }} as double), 0), -1), 12)
{%- endmacro %}
