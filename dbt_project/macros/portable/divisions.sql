{# Division codes as of a day. #}

{# The condition under which a row of lib_geography__division_history says what a code stands for on a day: join by code
   and this. No row: the code was not in use then, or is none of this city. #}
{% macro on_day(history, day) -%}
  ({{ history }}.in_force_from is null or {{ history }}.in_force_from <= {{ day }})
  and ({{ history }}.in_force_until is null or {{ day }} < {{ history }}.in_force_until)
{%- endmacro %}
