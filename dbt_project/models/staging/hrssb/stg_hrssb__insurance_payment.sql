-- 社会保险缴费，一人一险种一所属期一行。One row per person, kind of insurance and period, as it is now.
select
    payment_no, insurance_no, insurance_type, contribution_period, accounting_period, id_number, unit_no,
    contribution_base, contribution_unit, contribution_person, paid, paid_on, handled_at,
    {{ person_of('r.person_id') }} as person_id,
    _batch, _row
from {{ source('core', 'hrssb__insurance_payment') }} r
{{ join_person('r.person_id') }}
