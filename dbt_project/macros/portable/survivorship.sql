{# One source for each field (一数一源): which of several departments' values a library row takes, and what it did not
   take. `aliases` maps each source dataset to the alias under which the model joins it, one row for each key, with the
   columns called like the library's fields plus `_batch` and `_row`. The order is that of data_contracts/authority.yaml
   on the edition's day: `authority_matrix` is generated from it. #}

{# The aliases that may say what a field is, in order. A source that the model does not join would be lost in silence.
   Errors wait until the model is built: raised while dbt parses, they would stop every model.
   `unless`: field -> source -> SQL of when what that source says does not count. #}
{% macro claimants(library, field, aliases, unless={}) %}
  {% set found = [] %}
  {% for source in authority_matrix().get(library, {}).get(field, []) %}
    {% if execute and source not in aliases %}
      {% do exceptions.raise_compiler_error(library ~ '.' ~ field ~ '：数源 ' ~ source ~ ' 没有参与连接 / the model does not join '
          ~ source ~ ', which authority.yaml names') %}
    {% endif %}
    {% set value = aliases[source] ~ '.' ~ field %}
    {% set void = unless.get(field, {}).get(source) %}
    {% set value = 'case when ' ~ void ~ ' then null else ' ~ value ~ ' end' if void else value %}
    {% do found.append({'source': source, 'alias': aliases[source], 'value': value}) %}
  {% endfor %}
  {% if execute and not found %}
    {% do exceptions.raise_compiler_error(library ~ '.' ~ field ~ '：当日没有数源 / no source counts on this day') %}
  {% endif %}
  {{ return(found) }}
{% endmacro %}


{# The sources that may say what a field is as a table `k` (source, place), for models in which each source has rows of
   its own. #}
{% macro authority_list(library, field) -%}
  {%- set sources = authority_matrix().get(library, {}).get(field, []) -%}
  {%- if execute and not sources -%}
    {%- do exceptions.raise_compiler_error(library ~ '.' ~ field ~ '：当日没有数源 / no source counts on this day') -%}
  {%- endif -%}
  (values {% for source in sources or [''] %}('{{ source }}', {{ loop.index }}){{ ', ' if not loop.last }}{% endfor %}) k (source, place)
{%- endmacro %}


{# The value of a field: that of the first source that has one. #}
{% macro survive(library, field, aliases, unless={}) %}
  {{- surviving_value(claimants(library, field, aliases, unless)) -}}
{%- endmacro %}


{% macro surviving_value(found) %}
  {%- set values = found | map(attribute='value') | list -%}
  {{ 'coalesce(' ~ values | join(', ') ~ ')' if values | length > 1 else values[0] }}
{%- endmacro %}


{# Which of the sources gave a field its value, as text; null when none has one. #}
{% macro surviving_source(found) %}
  {%- set cases = [] -%}
  {%- for claim in found %}{% do cases.append('when ' ~ claim.value ~ " is not null then '" ~ claim.source ~ "'") %}{% endfor -%}
  case {{ cases | join(' ') }} end
{%- endmacro %}


{# A column as the first of the aliases says it whose row is there at all, even where that one says nothing: for values
   that mean something only together. #}
{% macro of_first(aliases, key, column) -%}
  case {% for alias in aliases %}when {{ alias }}.{{ key }} is not null then {{ alias }}.{{ column }} {% endfor %}end
{%- endmacro %}


{# JSON text {field: source} of the fields that several sources may say. #}
{% macro attr_source(library, aliases, unless={}) %}
  {%- set pairs = [] -%}
  {%- for field in authority_matrix().get(library, {}) -%}
    {%- set found = claimants(library, field, aliases, unless) -%}
    {%- if found | length > 1 -%}
      {%- do pairs.append("'\"" ~ field ~ "\":\"' || " ~ surviving_source(found) ~ " || '\"'") -%}
    {%- endif -%}
  {%- endfor -%}
  {{ json_object(pairs) }}
{%- endmacro %}


{# Where a row of a source lies in the raw zone, as text batch:row. #}
{% macro source_row(alias) -%}
  cast({{ alias }}._batch as string) || ':' || cast({{ alias }}._row as string)
{%- endmacro %}


{# JSON text {source dataset: "batch:row"} of the source rows that a row was made from; absent sources are left out.
   `others` are rows of another role, dataset#role -> SQL text of batch:row. #}
{% macro source_rows(aliases, others={}) %}
  {%- set pairs, rows = [], {} -%}
  {%- for source, alias in aliases.items() %}{% do rows.update({source: source_row(alias)}) %}{% endfor -%}
  {%- do rows.update(others) -%}
  {%- for source, row in rows.items() -%}
    {%- do pairs.append("'\"" ~ source ~ "\":\"' || " ~ row ~ " || '\"'") -%}
  {%- endfor -%}
  {{ json_object(pairs) }}
{%- endmacro %}


{# A JSON object as text from SQL texts of its pairs; pairs that are NULL are left out. Without any pair it is empty: on a
   day on which every column of a library has one source there is no choice to tell. #}
{% macro json_object(pairs) -%}
  {{ "'{' || concat_ws(',', " ~ pairs | join(', ') ~ ") || '}'" if pairs else "'{}'" }}
{%- endmacro %}


{# The disagreements there can be: for each field each source but the first, against the best of those before it.
   `same` gives the SQL under which two spellings of a field count as equal, with ? for the value. #}
{% macro disagreements(library, aliases, fields, same={}, unless={}) %}
  {% set found = [] %}
  {% for field in fields %}
    {% set claims, form = claimants(library, field, aliases, unless), same.get(field, '?') %}
    {% for claim in claims[1:] %}
      {% set before = claims[:loop.index] %}
      {% set kept = surviving_value(before) %}
      {% do found.append({
          'field': field, 'source': claim.source, 'source_kept': surviving_source(before),
          'value_kept': 'cast(' ~ kept ~ ' as string)', 'value_other': 'cast(' ~ claim.value ~ ' as string)',
          'row_kept': surviving_row(before), 'row_other': source_row(claim.alias),
          'differ': form | replace('?', kept) ~ ' <> ' ~ form | replace('?', claim.value),
      }) %}
    {% endfor %}
  {% endfor %}
  {{ return(found) }}
{% endmacro %}


{% macro surviving_row(found) %}
  {%- set cases = [] -%}
  {%- for claim in found %}{% do cases.append('when ' ~ claim.value ~ ' is not null then ' ~ source_row(claim.alias)) %}{% endfor -%}
  case {{ cases | join(' ') }} end
{%- endmacro %}


{# The possible disagreements as a table `k` (number, conflict_field, source_other), to be crossed with the joined
   sources. #}
{% macro disagreement_list(found) -%}
  (values
    {%- for item in found %} ({{ loop.index }}, '{{ item.field }}', '{{ item.source }}'){{ ',' if not loop.last }}{% endfor -%}
  ) k (number, conflict_field, source_other)
{%- endmacro %}


{# One part of the disagreement that a row of `k` stands for. #}
{% macro of_disagreement(found, part) -%}
  case k.number
    {%- for item in found %} when {{ loop.index }} then {{ item[part] }}{% endfor %} end
{%- endmacro %}


{# True where the sources disagree in what `k` stands for. The first part, of the joined sources alone, lets an engine
   drop the many rows without any disagreement before it multiplies the others. #}
{% macro is_disagreement(found) -%}
  ({{ found | map(attribute='differ') | join(' or ') }}) and {{ of_disagreement(found, 'differ') }}
{%- endmacro %}
