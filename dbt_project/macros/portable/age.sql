{# Ages in SQL that every engine computes alike. #}

{# Completed years of life on a day, by calendar: born on 29 February, a year is complete on 1 March of common years. #}
{% macro age_years(birth, as_of) -%}
  cast(year({{ as_of }}) - year({{ birth }})
    - case when month({{ as_of }}) * 100 + day({{ as_of }}) < month({{ birth }}) * 100 + day({{ birth }}) then 1 else 0 end
    as int)
{%- endmacro %}


{# Five-year band of an age in years: 00-04, 05-09 ... and `top`+; padded, so that text order is age order. Null for a
   null or negative age. #}
{% macro age_band(age, top=85) -%}
  case
    when {{ age }} is null or {{ age }} < 0 then null
    when {{ age }} >= {{ top }} then '{{ top }}+'
    else lpad(cast(cast(floor({{ age }} / 5) * 5 as int) as string), 2, '0')
      || '-' || lpad(cast(cast(floor({{ age }} / 5) * 5 + 4 as int) as string), 2, '0')
  end
{%- endmacro %}
