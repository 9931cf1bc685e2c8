-- 股东及出资，一名股东在一家公司一行。One row per shareholder of a company.
select
    investment_no, subject_no, shareholder_name, shareholder_type, shareholder_uscc, shareholder_id_number,
    subscribed_amount, paid_amount, share_ratio, contribution_way, contributed_on, source_updated_at,
    {{ person_of('r.shareholder_person_id') }} as shareholder_person_id,
    _batch, _row
from {{ source('core', 'amr__shareholder') }} r
{{ join_person('r.shareholder_person_id') }}
