-- 地址比对，来源的一个地址一行：是否找到标准地址、凭什么。没有地址文字。
-- One row per address of a source: whether its standard address was found, and by what. Never the text.
select
    m.source_dataset,
    m.source_key,
    m.address_field,
    m.address_match_status,
    m.address_match_basis,
    m.address_id,
    m.matched_division,
    {{ json_object([
        "'\"' || m.source_dataset || '\":\"' || " ~ source_row('m') ~ " || '\"'",
        "'\"psb/standard_address\":\"' || " ~ source_row('a') ~ " || '\"'"
    ]) }} as source_rows
from {{ source('matched', 'address') }} m
left join {{ ref('stg_psb__standard_address') }} a on a.address_id = m.address_id
