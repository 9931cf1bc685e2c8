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


{# Whether a value of lib_macro__observation was what one knew at the end of a day: out by then, and not replaced by then. #}
{% macro known_on(row, day) -%}
  ({{ city_date(row ~ '.published_at') }} <= {{ day }}
    and ({{ row }}.replaced_at is null or {{ city_date(row ~ '.replaced_at') }} > {{ day }}))
{%- endmacro %}

{# A macro-economic series as it was known at the end of a day. #}
{% macro observations_as_known(series, day) -%}
  (
    select o.area_code, o.period, o.series_value
    from {{ ref('lib_macro__observation') }} o
    where o.series_code = '{{ series }}' and {{ known_on('o', day) }}
  )
{%- endmacro %}
