-- 纳税申报写明的主体，一个统一社会信用代码一行：取最近一次申报。
-- One row per code: what the latest declaration says. `entity_status` is the taxpayer's status in the words of a register;
-- 非正常 is about declaring and says nothing of it.
{{ config(materialized='view') }}

with ranked as (
    select
        *,
        row_number() over (
            partition by uscc
            order by declared_on desc nulls last, tax_period desc nulls last, declaration_no desc nulls last
        ) as place
    from {{ ref('stg_txb__taxpayer') }}
)
select
    r.uscc, r.entity_name, county.code as county_code, r.taxpayer_status,
    case when r.taxpayer_status in ('1', '3') then r.taxpayer_status end as entity_status,
    r.declared_on, r.tax_credit_level, r.tax_office, r._batch, r._row
from ranked r
left join {{ ref('lib_geography__division') }} county on county.code = substr(r.uscc, 3, 6)
where r.place = 1
