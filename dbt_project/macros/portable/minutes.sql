{# Minutes in SQL that every engine computes alike: the number of a moment's minute since the start of March 2000, counted
   by the calendar, so that two of them can be subtracted. Engines differ in how they subtract times. #}
{% macro minute_number(moment) -%}
  ({{ days_since_2000(moment) }} * 1440
    + cast(extract(hour from {{ moment }}) as int) * 60 + cast(extract(minute from {{ moment }}) as int))
{%- endmacro %}


{# Days since 1 March 2000 by the rule of the Gregorian calendar, years counted from March. #}
{% macro days_since_2000(moment) -%}
  {%- set year -%} (year({{ moment }}) - 2000 - case when month({{ moment }}) < 3 then 1 else 0 end) {%- endset -%}
  {%- set month -%} (month({{ moment }}) + case when month({{ moment }}) < 3 then 9 else -3 end) {%- endset -%}
  cast({{ year }} * 365 + floor(cast({{ year }} as double) / 4) - floor(cast({{ year }} as double) / 100)
    + floor(cast({{ year }} as double) / 400) + floor(cast(153 * {{ month }} + 2 as double) / 5) + day({{ moment }}) - 1
    as int)
{%- endmacro %}
