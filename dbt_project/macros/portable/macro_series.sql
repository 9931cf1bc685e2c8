{# A macro-economic series: the newest vintage of every period of each area. #}
{% macro observations(series) -%}
  (
    select area_code, period, series_value
    from {{ ref('lib_macro__observation') }}
    where series_code = '{{ series }}' and is_latest
  )
{%- endmacro %}

{# The same of the newest period of each area. #}
{% macro newest_observation(series) -%}
  (
    select area_code, period, series_value
    from (
        select
            area_code, period, series_value,
            row_number() over (partition by area_code order by period desc nulls last) as place
        from {{ observations(series) }} every_period
    ) ranked
    where place = 1
  )
{%- endmacro %}
