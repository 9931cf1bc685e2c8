{# The same `materialized: delta` on a Spark Connect engine, which writes the candidate's Delta log itself.
   An incremental strategy continues the clone of the released version that pipelines.lake.build put in its place. #}
{% materialization delta, adapter='spark' %}
  {% set base = lake_base(this) if is_incremental() else none %}
  {% set strategy = config.get('incremental_strategy') if base else 'table' %}
  {% set partition_by = config.get('partition_by', []) %}
  {% set delete_when = config.get('delete_when') %}
  {% set candidate = this.schema ~ '.' ~ this.identifier ~ '__candidate' %}
  {% set changes = this.identifier ~ '__changes' %}

  {{ run_hooks(pre_hooks) }}
  {% do run_query('create or replace temporary view ' ~ changes ~ ' as select changes.*, '
      ~ ('coalesce((' ~ delete_when ~ '), false)' if delete_when else 'false') ~ ' as _gone from (' ~ compiled_code ~ '\n) changes') %}
  {% set columns = spark_columns(changes) %}
  {% if strategy == 'table' %}
    {% call statement('main') %}
      create table {{ candidate }} using delta {{ 'partitioned by (' ~ partition_by | join(', ') ~ ')' if partition_by }}
      location {{ spark_text(lake_candidate(this)) }} as select {{ columns | join(', ') }} from {{ changes }} where not _gone
    {% endcall %}
  {% else %}
    {% do run_query('create table ' ~ candidate ~ ' using delta location ' ~ spark_text(lake_candidate(this))) %}
    {% do spark_check_columns(this, candidate, columns) %}
    {% do adapter.dispatch('delta_' ~ strategy)(this, candidate, changes, columns) %}
  {% endif %}
  {% do spark_partition_values(this, candidate, partition_by) %}
  {% do run_query('create or replace view ' ~ this ~ ' as select * from ' ~ candidate) %}
  {{ run_hooks(post_hooks) }}
  {{ return({'relations': [this.incorporate(type='view')]}) }}
{% endmaterialization %}


{# The snapshot's relations as views: Delta tables pinned to their version, and SQL over them. #}
{% macro spark__register_snapshot() %}
  {% do run_query('create or replace temporary view lake_snapshot as select * from json.`' ~ env_var('CITYLAKE_SNAPSHOT') ~ '`') %}
  {% for row in run_query("select `schema`, name, kind, location, version, spark from lake_snapshot where kind <> 'lost'").rows %}
    {% set relation = row['schema'] ~ '.' ~ row['name'] %}
    {% do run_query('create schema if not exists ' ~ row['schema']) %}
    {% if row['kind'] == 'table' %}
      {% do run_query('create table ' ~ relation ~ '__stored using delta location ' ~ spark_text(row['location'])) %}
    {% endif %}
    {% do run_query('create or replace view ' ~ relation ~ ' as ' ~ (row['spark'] if row['kind'] == 'view'
        else 'select * from ' ~ relation ~ '__stored version as of ' ~ row['version'])) %}
    {% do adapter.cache_added(api.Relation.create(schema=row['schema'], identifier=row['name'], type='view')) %}
  {% endfor %}
{% endmacro %}


{% macro spark_text(text) %}
  {{- return("'" ~ text | replace('\\', '\\\\') | replace("'", "\\'") ~ "'") -}}
{% endmacro %}


{# Quoted column to type of a relation or temporary view, without the mark of deleted rows. #}
{% macro spark_columns(relation) %}
  {% set columns = {} %}
  {% for row in run_query('describe table ' ~ relation).rows if row['col_name'] != '_gone' %}
    {% do columns.update({adapter.quote(row['col_name']): row['data_type']}) %}
  {% endfor %}
  {{ return(columns) }}
{% endmacro %}
