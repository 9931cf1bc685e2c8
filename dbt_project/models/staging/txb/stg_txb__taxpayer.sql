-- 纳税申报，一户一税种一所属期一行。One row per declaration of a tax of a month.
select
    declaration_no, uscc, entity_name, taxpayer_status, tax_office, tax_type, tax_period, tax_amount, tax_arrears,
    tax_credit_level, declared_on, _batch, _row
from {{ source('core', 'txb__taxpayer') }}
