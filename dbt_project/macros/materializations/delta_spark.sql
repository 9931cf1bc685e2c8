{# The same `materialized: delta` on a Spark Connect engine, which writes the candidate's Delta log itself; when dbt is
   done, pipelines.lake.adopt makes it a table of ours. An incremental strategy continues the clone of the released
   version that pipelines.lake.build put in the candidate's place. #}
{% materialization delta, adapter='spark' %}
  {% set base = lake_base(this) if is_incremental() else none %}
  {% set strategy = config.get('incremental_strategy') if base else 'table' %}
  {% set partition_by = config.get('partition_by', []) %}
  {% set candidate = this ~ '__candidate' %}

  {{ run_hooks(pre_hooks) }}
  {% set changes = spark_changes(this, compiled_code, config.get('delete_when')) %}
  {% set columns = spark_columns(changes) %}
  {% do spark_check_types(this, columns) %}
  {% if base %}
    {% do run_query('create table ' ~ candidate ~ ' using delta location ' ~ spark_text(lake_candidate(this))) %}
    {% do spark_check_columns(this, candidate, columns) %}
  {% else %}
    {% do run_query(spark_create(candidate, columns, partition_by, lake_candidate(this))) %}
  {% endif %}
  {% if strategy == 'merge' %}
    {% set write = spark_merge(this, candidate, changes, columns) %}
  {% else %}
    {% set write = spark_insert(this, candidate, changes, columns, strategy, partition_by) %}
  {% endif %}
  {% call statement('main') %}
    {{ write }}
  {% endcall %}
  {% do run_query('create or replace view ' ~ this ~ ' as select * from ' ~ candidate) %}
  {{ run_hooks(post_hooks) }}
  {{ return({'relations': [this.incorporate(type='view')]}) }}
{% endmaterialization %}


{# The snapshot's relations as views: Delta tables pinned to their version, and SQL over them. #}
{% macro spark__register_snapshot() %}
  {% do run_query('create or replace temporary view lake_snapshot as select * from json.`' ~ env_var('CITYLAKE_SNAPSHOT') ~ '`') %}
  {% for row in run_query("select `schema`, name, kind, location, version, spark from lake_snapshot where kind <> 'lost'").rows %}
    {% set relation = row['schema'] ~ '.' ~ row['name'] %}
    {% set query = row['spark'] %}
    {% do run_query('create schema if not exists ' ~ row['schema']) %}
    {% if row['kind'] == 'table' %}
      {% do run_query('create table ' ~ relation ~ '__stored using delta location ' ~ spark_text(row['location'])) %}
      {% set query = 'select * from ' ~ relation ~ '__stored version as of ' ~ (row['version'] | int) %}
    {% endif %}
    {% do run_query('create or replace view ' ~ relation ~ ' as ' ~ query) %}
    {% do adapter.cache_added(api.Relation.create(schema=row['schema'], identifier=row['name'], type='view')) %}
  {% endfor %}
{% endmacro %}


{# Nothing is built by key there. #}
{% macro spark__keys_since_told(subject, history, key) %}
  {{ return(none) }}
{% endmacro %}


{# The rows of the model as a temporary view; `_gone` marks those that only remove a key or empty a partition. #}
{% macro spark_changes(relation, query, delete_when) %}
  {% set changes = relation.identifier ~ '__changes' %}
  {% do run_query('create or replace temporary view ' ~ changes ~ ' as select changes.*, '
      ~ ('coalesce((' ~ delete_when ~ '), false)' if delete_when else 'false') ~ ' as _gone from (\n' ~ query ~ '\n) changes') %}
  {{ return(changes) }}
{% endmacro %}


{# Column to type of a relation or temporary view, without `_gone`. Sail describes no table that it did not create. #}
{% macro spark_columns(relation) %}
  {% do run_query('create or replace temporary view lake_columns as select * from ' ~ relation) %}
  {% set columns = {} %}
  {% for row in run_query('describe table lake_columns').rows if row['col_name'] != '_gone' %}
    {% do columns.update({row['col_name']: row['data_type']}) %}
  {% endfor %}
  {{ return(columns) }}
{% endmacro %}


{# Every column is named, so that all may be NULL and keep their order. #}
{% macro spark_create(candidate, columns, partition_by, location) %}
  {% set typed = [] %}
  {% for column, type in columns.items() %}{% do typed.append(adapter.quote(column) ~ ' ' ~ type) %}{% endfor %}
  {{ return('create table ' ~ candidate ~ ' (' ~ typed | join(', ') ~ ') using delta '
      ~ ('partitioned by (' ~ partition_by | join(', ') ~ ') ' if partition_by else '') ~ 'location ' ~ spark_text(location)) }}
{% endmacro %}


{# table, append, and replace_partition: every partition the query returns a row of, also one it only empties. #}
{% macro spark_insert(relation, candidate, changes, columns, strategy, partition_by) %}
  {% set replaced = [] %}
  {% for column in partition_by %}
    {% set values = run_query('select distinct cast(' ~ column ~ ' as string) as value from ' ~ changes).columns[0].values() %}
    {% do spark_check_partitions(relation, column, values) %}
    {% do replaced.append('cast(' ~ column ~ " as string) in ('" ~ values | join("', '") ~ "')") %}
  {% endfor %}
  {% set where = 'replace where ' ~ replaced | join(' and ') if strategy == 'replace_partition' else '' %}
  {{ return('insert into ' ~ candidate ~ ' ' ~ where ~ ' select ' ~ spark_names(columns) ~ ' from ' ~ changes ~ ' where not _gone') }}
{% endmacro %}


{% macro spark_merge(relation, candidate, changes, columns) %}
  {% set keys = config.require('unique_key') %}
  {% set keys = [keys] if keys is string else keys %}
  {% do lake_check_keys(relation, changes, keys) %}
  {% set match, assigned = [], [] %}
  {% for key in keys %}{% do match.append('old.' ~ key ~ ' = new.' ~ key) %}{% endfor %}
  {% for column in columns %}{% do assigned.append(adapter.quote(column) ~ ' = new.' ~ adapter.quote(column)) %}{% endfor %}
  {{ return('merge into ' ~ candidate ~ ' old using ' ~ changes ~ ' new on ' ~ match | join(' and ')
      ~ ' when matched and new._gone then delete when matched then update set ' ~ assigned | join(', ')
      ~ ' when not matched and not new._gone then insert (' ~ spark_names(columns) ~ ') values (' ~ spark_names(columns, 'new.') ~ ')') }}
{% endmacro %}


{% macro spark_names(columns, prefix='') %}
  {% set names = [] %}
  {% for column in columns %}{% do names.append(prefix ~ adapter.quote(column)) %}{% endfor %}
  {{ return(names | join(', ')) }}
{% endmacro %}


{% macro spark_text(text) %}
  {{ return("'" ~ text | replace('\\', '\\\\') | replace("'", "\\'") ~ "'") }}
{% endmacro %}


{# The refusals of pipelines.lake.columns and pipelines.lake.delta, which this engine does not pass through. #}
{% macro spark_check_types(relation, columns) %}
  {% for column, type in columns.items() %}
    {% if type.startswith('interval') or type in ('void', 'timestamp_ntz', 'variant') %}
      {% do exceptions.raise_compiler_error(relation ~ '：列 ' ~ column ~ ' 的类型是 ' ~ type ~ '，Delta 表不能存放，请转换类型 / column '
          ~ column ~ ' is ' ~ type ~ ', which Delta cannot hold; cast it') %}
    {% endif %}
  {% endfor %}
{% endmacro %}


{% macro spark_check_columns(relation, candidate, columns) %}
  {% set old, changed = spark_columns(candidate), [] %}
  {% for column in old if old[column] != columns.get(column) %}{% do changed.append(column) %}{% endfor %}
  {% for column in columns if column not in old %}{% do changed.append(column) %}{% endfor %}
  {% if changed %}
    {% do exceptions.raise_compiler_error(relation ~ '：列有变化（' ~ changed | join(', ') ~ '），请加 --full-refresh 全量重建 / columns changed ('
        ~ changed | join(', ') ~ '); run with --full-refresh') %}
  {% endif %}
{% endmacro %}


{% macro spark_check_partitions(relation, column, values) %}
  {% for value in values if value is none or not modules.re.fullmatch('[A-Za-z0-9_.-]+', value) %}
    {% do exceptions.raise_compiler_error(relation ~ '：分区列 ' ~ column ~ ' 的值只能含字母、数字和 _ . -，不能为空 / partition values of '
        ~ column ~ ' may only hold letters, digits and _ . - and must not be NULL') %}
  {% endfor %}
{% endmacro %}
