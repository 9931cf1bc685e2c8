-- 标准地址的位置核对，一址一行：落在哪个县区，与所载区划是否一致。
-- One row per standard address: the county its position lies in, and what is doubtful about it.
select
    p.address_id,
    p.position_county,
    p.position_doubt,
    {{ source_rows({'psb/standard_address': 'p'}) }} as source_rows
from {{ source('matched', 'position') }} p
