-- 当月在保家庭，一行一户。One row per supported family.
select
    benefit_family_no, applicant_id_number, applicant_name, family_members, subsistence_category, monthly_amount,
    division_code, approved_on, benefit_from, benefit_to, sex, birth_date, address, mobile,
    {{ linked_person_of('r.applicant_person_id') }} as applicant_person_id,
    _batch, _row
from {{ source('core', 'cab__subsistence_allowance') }} r
{{ join_linked_person('cab/subsistence_allowance', 'r.benefit_family_no', 'r.applicant_person_id') }}
