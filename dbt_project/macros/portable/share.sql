{# A part of a whole as a double; null where the whole is nothing or unknown. The divisor itself is never null: Sail's
   division looks at the 0 that lies behind a null. #}
{% macro share(part, whole) -%}
  case when cast({{ whole }} as double) <> 0
    then cast({{ part }} as double) / nullif(coalesce(nullif(cast({{ whole }} as double), 0), 1), 0) end
{%- endmacro %}
