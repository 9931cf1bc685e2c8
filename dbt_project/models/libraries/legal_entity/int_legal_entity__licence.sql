-- 法人持有的电子证照写明的主体，一个统一社会信用代码一行：取最近颁发的有效证照。
-- One row per code of a holder: what the valid licence issued last says.
{{ config(materialized='view') }}

with ranked as (
    select
        *,
        row_number() over (
            partition by holder_code order by issued_on desc nulls last, change_no desc nulls last
        ) as place
    from {{ ref('stg_dsrb__e_licence') }}
    where holder_type = '2' and licence_status = '1'
)
select holder_code as uscc, holder_name as entity_name, _batch, _row
from ranked
where place = 1
