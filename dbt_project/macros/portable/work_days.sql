{# Working days by the city's calendar: `work_years` is generated for each build from city.yaml, as
   `pipelines.contracts.calendar` reads it. Days are counted as the calendar says (`worked`), and, since nobody knows yet
   which days of a year that is not announced are worked, with none (`fewest`) or all (`most`) of its days. #}

{# The calendar as a table with one row for each year. #}
{% macro work_calendar(alias) -%}
  {{ work_years() }} {{ alias }} (work_year, worked, worked_before, fewest, fewest_before, most, most_before)
{%- endmacro %}


{# The working days from the day after one day until another, each given with the alias of its year; `by`: worked, fewest
   or most. A day of rest counts as the working day after it: the one before it is over. So not more than n is within n
   working days, as deadlines of issues are. From a day before the calendar begins they are counted from its beginning. #}
{% macro work_days_between(first, first_year, last, last_year, by='worked') -%}
  {{ work_days_until(last, last_year, by) }}
    + 1 - cast(substr({{ last_year }}.{{ by }}, {{ place_in_year(last) }}, 1) as bigint)
    - coalesce({{ work_days_until(first, first_year, by) }}, 0)
{%- endmacro %}


{# The working days that the calendar has until a day, that day among them. #}
{% macro work_days_until(day, year, by) -%}
  {{ year }}.{{ by }}_before + length(replace(substr({{ year }}.{{ by }}, 1, {{ place_in_year(day) }}), '0', ''))
{%- endmacro %}


{# Where the sign of a day stands: every month has 31 places. #}
{% macro place_in_year(day) -%}
  (month({{ day }}) - 1) * 31 + day({{ day }})
{%- endmacro %}
