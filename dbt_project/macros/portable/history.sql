{# The history of a library: one row for each cell that changed from one release to the next, and for each row that came
   or went. Bitemporal: `holds_from` is the day from which the new value is true in the world, `known_on` the day of the
   edition that told so. The present row and its history give every earlier state; a row's first values are not repeated.

   `fields`: all columns of the subject but its key and its books (source_updated_at, attr_source, source_rows), which
   say where the present values come from: a column without a history could not be told as of a day.

   `key` is the subject's key. `valid` gives for a field SQL of the day since when its value is true, of the subject's
   columns as `n` (holds_basis 'event'); else the row's `updated` counts if it moved with the change ('source'), else the
   day of the edition ('known'). #}
{% macro history(subject, key, fields, updated, valid={}) %}
  {%- set told = source('before', this.identifier) -%}
  {%- set before = told if is_incremental() else subject -%}
  {%- set earlier = history_columns(this.identifier, fields) -%}
  {%- set changed = keys_since_told(subject, this, key) if is_incremental() else none -%}
  {%- set cases = namespace(old=[], new=[], day=[], differ=[cell_differs(key, 'o.' ~ key)]) -%}
  {%- for field in fields -%}
    {%- set number = loop.index -%}
    {%- do cases.old.append('when ' ~ number ~ ' then cast(' ~ earlier[field] ~ ' as string)') -%}
    {%- do cases.new.append('when ' ~ number ~ ' then cast(n.' ~ field ~ ' as string)') -%}
    {%- do cases.differ.append(cell_differs(field, earlier[field])) -%}
    {%- if field in valid -%}
      {%- do cases.day.append('when ' ~ number ~ ' then ' ~ valid[field]) -%}
    {%- endif -%}
  {%- endfor -%}
with cell as (
    select
        coalesce(n.{{ key }}, o.{{ key }}) as {{ key }},
        k.history_field,
        case k.number when 0 then case when o.{{ key }} is null then '0' else '1' end {{ cases.old | join(' ') }} end
            as history_before,
        case k.number when 0 then case when n.{{ key }} is null then '0' else '1' end {{ cases.new | join(' ') }} end
            as history_after,
        {{ 'case k.number ' ~ cases.day | join(' ') ~ ' end' if cases.day else 'cast(null as date)' }} as happened_on,
        case when n.{{ updated }} > o.{{ updated }} or o.{{ key }} is null then cast(n.{{ updated }} as date) end
            as updated_on,
        coalesce(n.source_rows, o.source_rows) as source_rows
    from {{ history_rows(subject, key, changed) }} n
    full outer join {{ history_rows(before, key, changed) }} o on o.{{ key }} = n.{{ key }}
    cross join (values (0, 'record')
        {%- for field in fields %}, ({{ loop.index }}, '{{ field }}'){% endfor %}) k (number, history_field)
    where {{ 'true' if is_incremental() else 'false' }}
        and ({{ cases.differ | join(' or ') }})
        and case k.number
            {%- for differs in cases.differ %} when {{ loop.index0 }} then {{ differs }}
            {%- if not loop.first %} and o.{{ key }} is not null{% endif %}{% endfor %} end
)
select
    c.{{ key }}, c.history_field, c.history_before, c.history_after,
    case when c.happened_on <= b.as_of then c.happened_on when c.updated_on <= b.as_of then c.updated_on else b.as_of end
        as holds_from,
    case when c.happened_on <= b.as_of then 'event' when c.updated_on <= b.as_of then 'source' else 'known' end
        as holds_basis,
    b.as_of as known_on,
    b.edition_id as known_in,
    c.source_rows
from cell c
cross join {{ source('lake', 'build') }} b
{% endmacro %}


{# Rows that may differ from those that were told of: all, or where `changed` gives SQL of the keys, only theirs. Equal rows
   give no row of a history, whatever its fields. #}
{% macro history_rows(rows, key, changed) -%}
  {{ '(select * from ' ~ rows ~ ' where ' ~ key ~ ' in (select key from (' ~ changed ~ ')))' if changed else rows }}
{%- endmacro %}


{# Field to SQL of its earlier value: NULL for one that the library did not have when its history was last made. #}
{% macro history_columns(reader, fields) %}
  {%- set known, found = [], {} -%}
  {%- if execute and is_incremental() and not env_var('CITYLAKE_COMPILE', '') -%}
    {%- do known.extend(run_query("select " ~ adapter.quote('columns') ~ " from lake_snapshot where " ~ adapter.quote('schema')
        ~ " = 'before' and name = '" ~ reader ~ "'").columns[0].values()) -%}
  {%- endif -%}
  {%- for field in fields -%}
    {%- set missing = known and '"' ~ field ~ '"' not in known[0] -%}
    {%- do found.update({field: 'cast(null as string)' if missing else 'o.' ~ field}) -%}
  {%- endfor -%}
  {{ return(found) }}
{% endmacro %}


{# Whether a cell of `n` differs from an earlier one, where NULL is a value like others. #}
{% macro cell_differs(field, earlier) -%}
  coalesce(n.{{ field }} <> {{ earlier }}, (n.{{ field }} is null) <> ({{ earlier }} is null))
{%- endmacro %}
