{# DuckDB writes Parquet, the plugin commits it to the candidate's Delta log, a view shows the candidate downstream.
   incremental_strategy: none (replace all), append, replace_partition, merge (unique_key). #}
{% materialization delta, adapter='duckdb' %}
  {% set base = lake_base(this) if is_incremental() else none %}
  {% set strategy = config.get('incremental_strategy') if base else 'table' %}
  {% set partition_by = config.get('partition_by', []) %}
  {% set delete_when = config.get('delete_when') %}
  {% set columns = delta_columns(compiled_code) %}
  {% set keyed = delta_keyed(this) %}

  {{ run_hooks(pre_hooks) }}
  {% if keyed %}
    {% set write = {'query': delta_by_key(this, keyed, lake_base(this), columns), 'replaced': []} %}
  {% elif strategy == 'merge' %}
    {% set write = delta_merge(this, base, compiled_code, columns, delete_when) %}
  {% elif strategy == 'replace_partition' %}
    {% set write = delta_replace_partition(this, base, compiled_code, partition_by, delete_when) %}
  {% else %}
    {% set write = {'query': lake_stored(compiled_code, delete_when), 'replaced': []} %}
  {% endif %}
  {% call statement('main', fetch_result=true, auto_begin=false) %}
    {{ delta_copy(write.query, lake_candidate(this), partition_by) }}
  {% endcall %}

  {% set request = {'strategy': strategy, 'base': base, 'written': delta_written_files(),
                    'replaced': write.replaced, 'partition_by': partition_by} %}
  {% do adapter.store_relation('lake', this, columns, lake_candidate(this), 'delta', request) %}
  {% if keyed %}{% do delta_drop_rows(this, keyed) %}{% endif %}
  {% do run_query('create or replace view ' ~ this ~ ' as select ' ~ request.columns ~ ' from ' ~ request.source) %}
  {{ run_hooks(post_hooks) }}
  {{ return({'relations': [this.incorporate(type='view')]}) }}
{% endmaterialization %}


{% macro duckdb__register_snapshot() %}
  {% do run_query("create or replace table main.lake_snapshot as select * from read_json('"
      ~ env_var('CITYLAKE_SNAPSHOT') | replace("'", "''") ~ "', format = 'newline_delimited', maximum_object_size = 268435456, columns = {"
      ~ "schema: 'varchar', name: 'varchar', kind: 'varchar', location: 'varchar', version: 'bigint', selected: 'boolean', "
      ~ "columns: 'varchar', source: 'varchar', duckdb: 'varchar'})") %}
  {% for row in run_query('select "schema", name, kind, "columns", source, duckdb from main.lake_snapshot where kind <> \'lost\'').rows %}
    {% set relation = row['schema'] ~ '.' ~ row['name'] %}
    {% set query = row['duckdb'] if row['kind'] == 'view' else 'select ' ~ row['columns'] ~ ' from ' ~ row['source'] %}
    {% do run_query('create schema if not exists ' ~ row['schema']) %}
    {% do run_query('create or replace view ' ~ relation ~ ' as ' ~ query) %}
    {% do adapter.cache_added(api.Relation.create(database=target.database, schema=row['schema'], identifier=row['name'], type='view')) %}
  {% endfor %}
  {% do run_query("create or replace table main.lake_keyed as select * from read_json('"
      ~ env_var('CITYLAKE_KEYED') | replace("'", "''") ~ "', format = 'newline_delimited', maximum_object_size = 268435456, "
      ~ "columns = {name: 'varchar', key: 'varchar', keys: 'varchar', rows: 'varchar[]', query: 'varchar'})") %}
{% endmacro %}


{% macro delta_columns(query) %}
  {% set columns = [] %}
  {% for row in run_query('describe select * from (\n' ~ query ~ '\n)').rows %}
    {% do columns.append(api.Column(row['column_name'], row['column_type'])) %}
  {% endfor %}
  {{ return(columns) }}
{% endmacro %}


{% macro delta_copy(query, location, partition_by) %}
  copy (
    {{ query }}
  ) to '{{ location | replace("'", "''") }}' (
    format parquet, compression zstd, compression_level 1, return_stats true,
    append true, filename_pattern 'part-{uuid}',
    {{ 'partition_by (' ~ partition_by | join(', ') ~ ')' if partition_by else "file_size_bytes '256MB'" }}
  )
{% endmacro %}


{% macro delta_written_files() %}
  {% set files = [] %}
  {% for row in load_result('main').table.rows %}
    {#- by key: `row.count` would be the method of that name, and `| int` would turn it into 0 -#}
    {% do files.append([row['filename'], row['count'], row['file_size_bytes'],
                        fromjson(row['column_statistics'] or '{}'), fromjson(row['partition_keys'] or '{}')]) %}
  {% endfor %}
  {{ return(files) }}
{% endmacro %}


{% macro delta_changes(relation, query) %}
  {% set changes = relation.identifier ~ '__changes' %}
  {% do run_query('create or replace temp table ' ~ changes ~ ' as\n' ~ query) %}
  {{ return(changes) }}
{% endmacro %}


{% macro delta_touched(base, changes, columns) %}
  {% set match = [] %}
  {% for column in columns %}{% do match.append('old.' ~ column ~ ' = new.' ~ column) %}{% endfor %}
  {{ return(run_query('select distinct filename from ' ~ base.source ~ ' old semi join ' ~ changes ~ ' new on '
                      ~ match | join(' and ')).columns[0].values() | list) }}
{% endmacro %}


{# How a model is built for some of its keys alone, as pipelines.lake.keys says; none if it is built whole. #}
{% macro delta_keyed(relation) %}
  {% set rows = run_query("select key, keys, query, to_json(rows) as rows from main.lake_keyed where name = '" ~ relation.identifier ~ "'").rows %}
  {{ return(none if not rows else {'key': rows[0]['key'], 'keys': rows[0]['keys'], 'query': rows[0]['query'], 'rows': fromjson(rows[0]['rows'])}) }}
{% endmacro %}


{# The changed keys, and the rows of inputs that have one, as temporary tables. #}
{% macro delta_read_rows(relation, keyed) %}
  {% set keys = relation.identifier ~ '__keys' %}
  {% do run_query('create or replace temp table ' ~ keys ~ ' as ' ~ keyed['keys']) %}
  {% for rows in keyed['rows'] %}
    {% do run_query('create or replace temp table keyed_rows_' ~ loop.index0 ~ ' as ' ~ rows ~ ' (select key from ' ~ keys ~ ')') %}
  {% endfor %}
{% endmacro %}


{# Built by key: the rows of the released version that have none of the changed keys, and the model's rows of these keys,
   from only those rows of its inputs that have one. One COPY of the old rows costs less than a merge into their files,
   for keys are spread over all of them. #}
{% macro delta_by_key(relation, keyed, base, columns) %}
  {% set keys, select_list = relation.identifier ~ '__keys', columns | map(attribute='quoted') | join(', ') %}
  {% do delta_read_rows(relation, keyed) %}
  {% set query %}
    select {{ select_list }} from {{ base.source }} old anti join {{ keys }} changed on changed.key = old.{{ keyed['key'] }}
    union all
    select {{ select_list }} from (
    {{ keyed['query'] }}
    ) model semi join {{ keys }} changed on changed.key = model.{{ keyed['key'] }}
  {% endset %}
  {{ return(query) }}
{% endmacro %}


{% macro duckdb__keys_since_told(subject, history, key) %}
  {% set rows = run_query(
      "select k.keys from main.lake_keyed k"
      ~ " join lake_snapshot base on base.selected and base.kind = 'table' and base.name = k.name"
      ~ " join lake_snapshot told on told.schema = 'before' and told.name = '" ~ history.identifier ~ "'"
      ~ " and told.location = base.location and told.version = base.version"
      ~ " where k.name = '" ~ subject.identifier ~ "' and k.key = '" ~ key ~ "'").rows %}
  {{ return(rows[0]['keys'] if rows else none) }}
{% endmacro %}


{% macro delta_drop_rows(relation, keyed) %}
  {% do run_query('drop table ' ~ relation.identifier ~ '__keys') %}
  {% for rows in keyed['rows'] %}{% do run_query('drop table keyed_rows_' ~ loop.index0) %}{% endfor %}
{% endmacro %}


{# Merge by key: only files that hold a changed key are rewritten, without those keys and with the changes. #}
{% macro delta_merge(relation, base, query, columns, delete_when) %}
  {% set keys = config.require('unique_key') %}
  {% set keys = [keys] if keys is string else keys %}
  {% set changes = delta_changes(relation, query) %}
  {% do lake_check_keys(relation, changes, keys) %}
  {% set touched = delta_touched(base, changes, keys) %}
  {% set select_list = columns | map(attribute='quoted') | join(', ') %}
  {% set write %}
    {% if touched %}
    select {{ select_list }} from {{ base.source }} old anti join {{ changes }} new using ({{ keys | join(', ') }})
    where old.filename in ('{{ touched | map('replace', "'", "''") | join("', '") }}')
    union all
    {% endif %}
    select {{ select_list }} from ({{ lake_stored('select * from ' ~ changes, delete_when) }})
  {% endset %}
  {{ return({'query': write, 'replaced': touched}) }}
{% endmacro %}


{# Replaces every partition the query returns a row of, also when `delete_when` leaves nothing to store in it. #}
{% macro delta_replace_partition(relation, base, query, partition_by, delete_when) %}
  {% if not delete_when %}{{ return({'query': lake_stored(query, none), 'replaced': []}) }}{% endif %}
  {% set changes = delta_changes(relation, query) %}
  {{ return({'query': lake_stored('select * from ' ~ changes, delete_when),
             'replaced': delta_touched(base, '(select distinct ' ~ partition_by | join(', ') ~ ' from ' ~ changes ~ ')', partition_by)}) }}
{% endmacro %}
