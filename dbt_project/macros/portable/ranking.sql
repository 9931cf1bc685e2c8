{# One row of each key: the first in an order, as a relation; rows without a key are left out. Only keys that have several
   rows are ranked. Most have one, and ranking those too would hold every row with all its columns in memory.
   `rows` is read several times, so it is a table or a view, which engines look through. #}
{% macro first_of_each(rows, key, order, where='true') -%}
  {%- set several -%}
    (select {{ key }} as several_key from {{ rows }} where {{ where }} group by {{ key }} having count(*) > 1)
  {%- endset -%}
  (
    select *
    from (
        select r.*, cast(1 as bigint) as place
        from {{ rows }} r
        left join {{ several }} s on s.several_key = r.{{ key }}
        where {{ where }} and s.several_key is null and r.{{ key }} is not null
        union all
        select r.*, row_number() over (partition by r.{{ key }} order by {{ order }}) as place
        from {{ rows }} r
        join {{ several }} s on s.several_key = r.{{ key }}
        where {{ where }}
    ) ranked
    where place = 1
  )
{%- endmacro %}
