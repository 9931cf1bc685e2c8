{# Who stands behind a company: walks along shares, as common table expressions without recursion.

   Walks are doubled: those of at most 2n steps are those of at most n steps put one after another, so five doublings see
   every walk of fewer than 32 steps. Companies that hold each other in a circle have walks of any length; what they still
   carry after 32 steps is counted, never lost (decision 0024). `edges` (uscc, holder, share, chain) and `majorities` (uscc,
   holder, chain) hold only holders that are companies held themselves; `nodes` (uscc) are all companies that are held.

   A chain is text: of three digits how long it is, and of the raw rows along it; the shortest wins. #}

{% macro doublings() %}{{ return(5) }}{% endmacro %}


{# CTEs reach_N (uscc, holder, share, chain): the sum over all walks of fewer than N steps of their products of shares,
   the empty walk included; step_N: over those of exactly N steps. #}
{% macro walks(edges, nodes) -%}
step_1 as (
    select uscc, holder, share, chain from {{ edges }}
),
reach_1 as (
    select uscc, uscc as holder, cast(1 as double) as share, '000' as chain from {{ nodes }}
)
{%- for turn in range(doublings()) %}
{%- set n = 2 ** turn %},
reach_{{ 2 * n }} as (
    select uscc, holder, sum(share) as share, min(chain) as chain
    from (
        select uscc, holder, share, chain from reach_{{ n }}
        union all
        select a.uscc, b.holder, a.share * b.share as share, {{ joined_chain('a.chain', 'b.chain') }} as chain
        from step_{{ n }} a
        join reach_{{ n }} b on b.uscc = a.holder
    ) parts
    group by uscc, holder
),
step_{{ 2 * n }} as (
    select a.uscc, b.holder, sum(a.share * b.share) as share, min({{ joined_chain('a.chain', 'b.chain') }}) as chain
    from step_{{ n }} a
    join step_{{ n }} b on b.uscc = a.holder
    group by a.uscc, b.holder
)
{%- endfor %}
{%- endmacro %}


{# CTEs top_N (uscc, holder, chain): the company N steps up the chain of majorities, or the last there is. A company has
   at most one holder of more than half, so the chain never forks. #}
{% macro climbs(majorities, nodes) -%}
top_1 as (
    select n.uscc, coalesce(m.holder, n.uscc) as holder, coalesce(m.chain, '000') as chain
    from {{ nodes }} n
    left join {{ majorities }} m on m.uscc = n.uscc
)
{%- for turn in range(doublings()) %}
{%- set n = 2 ** turn %},
top_{{ 2 * n }} as (
    select a.uscc, b.holder, {{ joined_chain('a.chain', 'b.chain') }} as chain
    from top_{{ n }} a
    join top_{{ n }} b on b.uscc = a.holder
)
{%- endfor %}
{%- endmacro %}


{# One chain after another: lengths added, rows one after the other. #}
{% macro joined_chain(first, second) -%}
  lpad(cast(cast(substr({{ first }}, 1, 3) as int) + cast(substr({{ second }}, 1, 3) as int) as string), 3, '0')
    || substr({{ first }}, 4) || substr({{ second }}, 4)
{%- endmacro %}


{# How many steps a chain has, and its raw rows as JSON. #}
{% macro chain_length(chain) -%} cast(substr({{ chain }}, 1, 3) as bigint) {%- endmacro %}


{% macro chain_rows(chain) -%} '{' || substr({{ chain }}, 5) || '}' {%- endmacro %}


{% macro walked_steps() %}{{ return(2 ** doublings()) }}{% endmacro %}


{# CTEs held (every holding, with the chain of its one step), node (every company that is held), edge (what companies
   hold that are held themselves, one row for each pair). #}
{% macro ownership_edges() -%}
held as (
    select
        uscc, investment_no, holder_key, holder_kind, shareholder_person_id, shareholder_uscc, held_share as share,
        '001,' || replace(
            replace(substr(source_rows, 2, length(source_rows) - 2), 'amr/shareholder', 'amr/shareholder#' || uscc),
            'amr/enterprise', 'amr/enterprise#' || uscc
        ) as chain
    from {{ ref('lib_legal_entity__shareholder') }}
),
node as (
    select distinct uscc from held
),
edge as (
    select uscc, shareholder_uscc as holder, sum(share) as share, min(chain) as chain
    from held
    where holder_kind = 'company'
    group by uscc, shareholder_uscc
)
{%- endmacro %}
