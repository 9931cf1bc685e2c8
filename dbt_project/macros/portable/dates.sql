{# Days and times in SQL that every engine computes alike. #}

{# The day of a moment by the city's clocks. Sessions run in UTC, and the whole of China keeps one time without summer
   time, eight hours ahead. #}
{% macro city_date(moment) -%}
  cast({{ moment }} + interval '8' hour as date)
{%- endmacro %}


{# The same day some years later, 28 February for the 29th; null for null. #}
{% macro years_after(day, years) -%}
  cast(
    cast(year({{ day }}) + {{ years }} as string)
    || case when month({{ day }}) = 2 and day({{ day }}) = 29 then '-02-28' else substr(cast({{ day }} as string), 5) end
    as date
  )
{%- endmacro %}


{# The day before a day; null for null. #}
{% macro day_before(day) -%}
  cast({{ day }} - interval '1' day as date)
{%- endmacro %}
