{# `materialized: interim`: what several models of one build read, computed once, kept beside the build and gone with it.
   Never released: for proofs, lineage and levels it is a view. A file instead of a table in memory, since it may be
   larger than what engines hold, and readers read only the columns they name. Where all of them are built by key, it has
   only the rows of their keys. #}
{% materialization interim, adapter='duckdb' %}
  {% set file = env_var('CITYLAKE_INTERIM') ~ '/' ~ this.identifier ~ '.parquet' %}

  {% set keyed = delta_keyed(this) %}

  {{ run_hooks(pre_hooks) }}
  {% if keyed %}{% do delta_read_rows(this, keyed) %}{% endif %}
  {% call statement('main', auto_begin=false) %}
    copy (
      {{ keyed['query'] if keyed else compiled_code }}
    ) to '{{ file | replace("'", "''") }}' (format parquet, compression zstd, compression_level 1)
  {% endcall %}
  {% do run_query('create or replace view ' ~ this ~ " as select * from read_parquet('" ~ file | replace("'", "''") ~ "')") %}
  {% if keyed %}{% do delta_drop_rows(this, keyed) %}{% endif %}
  {{ run_hooks(post_hooks) }}
  {{ return({'relations': [this.incorporate(type='view')]}) }}
{% endmaterialization %}


{# Spark engines share nothing with our files, so there it is a view. #}
{% materialization interim, adapter='spark' %}
  {{ run_hooks(pre_hooks) }}
  {% call statement('main') %}
    create or replace view {{ this }} as {{ compiled_code }}
  {% endcall %}
  {{ run_hooks(post_hooks) }}
  {{ return({'relations': [this.incorporate(type='view')]}) }}
{% endmaterialization %}
