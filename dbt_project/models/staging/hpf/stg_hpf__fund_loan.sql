-- 公积金贷款，一份合同一行。One row per loan.
select
    loan_contract_no, fund_account, loan_amount, loan_periods, loan_granted_on, loan_settled_on, overdue_times,
    loan_balance, _batch, _row
from {{ source('core', 'hpf__fund_loan') }}
