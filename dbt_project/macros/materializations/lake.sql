{# What both engines share: names of schemas, the snapshot a run starts from, and what a `delta` model starts from. #}

{% macro generate_schema_name(custom_schema_name, node) -%}
  {{ (custom_schema_name or target.schema) | trim }}
{%- endmacro %}


{# Make every relation of snapshot.json known to the engine and to dbt's cache, which is filled before hooks run. #}
{% macro register_snapshot() %}
  {% if execute and not env_var('CITYLAKE_COMPILE', '') %}{% do adapter.dispatch('register_snapshot')() %}{% endif %}
{% endmacro %}


{# The candidate of a model: candidate/<edition>/<library>/<model>, as pipelines.lake.zones says. #}
{% macro lake_candidate(relation) %}
  {% set library = (relation.identifier.split('__')[0]).split('_')[1:] | join('_') %}
  {{ return([env_var('CITYLAKE_LAKE'), 'candidate', env_var('CITYLAKE_EDITION'), library, relation.identifier] | join('/')) }}
{% endmacro %}


{# The released version an incremental model starts from: location, version, columns, source; none if there is none. #}
{% macro lake_base(relation) %}
  {% set rows = run_query(
      'select location, version, ' ~ adapter.quote('columns') ~ ', source from lake_snapshot'
      ~ " where selected and kind = 'table' and name = '" ~ relation.identifier ~ "'").rows %}
  {% if not rows %}{{ return(none) }}{% endif %}
  {% set row = rows[0] %}
  {{ return({'location': row['location'], 'version': row['version'] | int, 'columns': row['columns'], 'source': row['source']}) }}
{% endmacro %}


{# dbt's own answers only for `incremental` tables. Here: the model has a strategy and a released version. #}
{% macro is_incremental() %}
  {% if not execute or config.get('materialized') != 'delta' or config.get('incremental_strategy') is none %}
    {{ return(false) }}
  {% elif env_var('CITYLAKE_COMPILE', '') %}  {#- no snapshot: pipelines.lake.portability asks for either branch -#}
    {{ return(env_var('CITYLAKE_COMPILE') == 'incremental') }}
  {% endif %}
  {{ return(not should_full_refresh() and lake_base(this) is not none) }}
{% endmacro %}


{# SQL of the keys in which a subject may differ from the version its history was told of: those it was built for in this
   build, if it started from that very version, for all its other rows are copies. None where all may differ. #}
{% macro keys_since_told(subject, history, key) %}
  {% if not execute or env_var('CITYLAKE_COMPILE', '') %}{{ return(none) }}{% endif %}
  {{ return(adapter.dispatch('keys_since_told')(subject, history, key)) }}
{% endmacro %}


{# The rows of a query that are to be stored: `delete_when` marks those that only remove a key or empty a partition. #}
{% macro lake_stored(query, delete_when) %}
  select * from (
  {{ query }}
  ) changes
  {%- if delete_when %}
  where not coalesce(({{ delete_when }}), false)
  {%- endif %}
{% endmacro %}


{# A merge is refused when its changes hold a key twice or NULL: it would store the row again on every run. #}
{% macro lake_check_keys(relation, changes, keys) %}
  {% set nulls = [] %}
  {% for key in keys %}{% do nulls.append(key ~ ' is null') %}{% endfor %}
  {% set bad = run_query(
      'select ' ~ keys | join(', ') ~ ' from ' ~ changes ~ ' group by ' ~ keys | join(', ')
      ~ ' having sum(1) > 1 or ' ~ nulls | join(' or ') ~ ' limit 1').rows %}
  {% if bad %}
    {% do exceptions.raise_compiler_error(
        relation ~ '：键 ' ~ keys | join(', ') ~ ' 重复或为空：' ~ bad[0].values() | join(', ')
        ~ ' / unique_key is repeated or NULL in the changes') %}
  {% endif %}
{% endmacro %}
