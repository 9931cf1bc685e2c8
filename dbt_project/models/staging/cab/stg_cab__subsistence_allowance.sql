-- 当月在保家庭，一行一户。One row per supported family.
select
    benefit_family_no, applicant_id_number, applicant_name, family_members, subsistence_category, monthly_amount,
    division_code, approved_on, benefit_from, benefit_to, sex, birth_date, address, mobile, applicant_person_id,
    _batch, _row
from {{ source('core', 'cab__subsistence_allowance') }}
