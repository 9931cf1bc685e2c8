-- 各登记库和税务申报中出现过的统一社会信用代码，一个一行。Every code that a register or the tax bureau knows, once.
{{ config(materialized='view') }}

select uscc from {{ ref('stg_amr__enterprise') }}
union
select uscc from {{ ref('stg_cab__social_organisation') }}
union
select uscc from {{ ref('stg_sto__institution') }}
union
select uscc from {{ ref('stg_ara__collective') }}
union
select uscc from {{ ref('stg_txb__taxpayer') }}
