-- 双公示报送时限，一行一类。One row per kind of decision: the working days within which it is to be reported.
select
    decision_kind, limit_days, weight_source, confidence, _batch, _row
from {{ source('core', 'drc__reporting_limit') }}
