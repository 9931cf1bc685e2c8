-- 主体标签，一主体一标签一行，只由来源数据得出：小型微利标准（最近年报）、纳税信用A级、税务非正常户、经营异常、国有控制。
-- One row per entity and tag; every tag follows from what a source says.
with report as (
    select
        *,
        row_number() over (partition by uscc order by report_year desc nulls last) as place
    from {{ ref('lib_legal_entity__annual_report') }}
),
listed as (
    select
        *,
        row_number() over (partition by uscc order by listed_on asc nulls last, abnormal_no asc nulls last) as place
    from {{ ref('lib_legal_entity__abnormal') }}
    where removed_on is null and uscc is not null
)
select uscc, 'small_low_profit' as entity_tag, 'amr/annual_report' as tag_source, reported_on as since, source_rows
from report
where place = 1 and total_assets <= 5000 and employees <= 300 and profit <= 300
union all
select uscc, 'abnormal_listed', 'amr/abnormal', listed_on, source_rows
from listed
where place = 1
union all
select uscc, 'tax_credit_a', 'txb/taxpayer', cast(null as date), source_rows
from {{ ref('lib_legal_entity__entity') }}
where tax_credit_level = 'A'
union all
select uscc, 'tax_abnormal', 'txb/taxpayer', cast(null as date), source_rows
from {{ ref('lib_legal_entity__entity') }}
where taxpayer_status = '2'
union all
select uscc, 'state_controlled', 'amr/shareholder', cast(null as date), source_rows
from {{ ref('lib_legal_entity__control') }}
where controller_kind = 'state'
