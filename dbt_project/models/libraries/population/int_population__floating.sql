-- 流动人口登记中的自然人，一人一行：先取有效登记，再取最近登记。性别、出生日期取自身份号码，失效登记不再说明居住地。
-- One row per person of the floating register: registrations in force first, then the latest. Sex and date of birth are
-- those of the identity number; a registration that ended says nothing about where somebody lives.
{{ config(materialized='view') }}

select
    person_id,
    case when number_shared = 0 then id_number end as id_number,
    name,
    case when cast(substr(id_number, 17, 1) as int) % 2 = 1 then '1' else '2' end as sex,
    cast(substr(id_number, 7, 4) || '-' || substr(id_number, 11, 2) || '-' || substr(id_number, 13, 2) as date)
        as birth_date,
    division_code,
    origin_address as address,
    origin_county,
    mobile,
    source_updated_at,
    floating_status,
    case when floating_status = '1' then residence_permit_no end as residence_permit_no,
    case when floating_status = '1' then division_code end as residence_division,
    case when floating_status = '1' then residence_address end as residence_address,
    _batch, _row
from {{ first_of_each(
    ref('stg_psb__floating_person'), 'person_id',
    'floating_status desc nulls last, registered_on desc nulls last, source_updated_at desc nulls last, '
    ~ 'record_no asc nulls last'
) }} r
