-- 医保结算事件，一行一次结算。One row per settlement.
select
    settlement_no, medical_no, medical_institution_code, settlement_kind, treated_from, treated_to, fund_payment,
    drg_code, source_updated_at, _batch, _row
from {{ source('core', 'hsb__settlement') }}
