-- 人员标签，一人一标签一行：低保、在籍学生、社保和医保参保、健康档案、公积金、老年人、流动登记、死亡；只限人口库中的人。
-- One row per person of the library and tag, from the record that says so best: the one without an end, then the latest
-- to end, then the latest to begin. A tag has one source, so each source is reduced by itself.
{{ config(key='person_id') }}
with claim as (
    select
        applicant_person_id as person_id, 'subsistence' as person_tag, 'cab/subsistence_allowance' as tag_source,
        approved_on as since, cast(null as date) as until, _batch, _row
    from {{ first_of_each(
        ref('stg_cab__subsistence_allowance'), 'applicant_person_id',
        'approved_on desc nulls last, benefit_family_no asc nulls last'
    ) }} r
    union all
    select person_id, 'pupil', 'esb/pupil', enrolment_date, cast(null as date), _batch, _row
    from {{ first_of_each(
        ref('stg_esb__pupil'), 'person_id', 'enrolment_date desc nulls last, student_no asc nulls last',
        where="pupil_status in ('1', '3')"
    ) }} r
    union all
    select person_id, 'insured', 'hrssb/insurance', enrolled_on, cast(null as date), _batch, _row
    from {{ first_of_each(
        ref('stg_hrssb__insurance'), 'person_id',
        'enrolled_on desc nulls last, insurance_type || insurance_no asc nulls last',
        where="insured_status in ('1', '2')"
    ) }} r
    union all
    select person_id, 'medical_insured', 'hsb/insured', insured_from, insured_to, _batch, _row
    from {{ first_of_each(
        ref('stg_hsb__insured'), 'person_id',
        'insured_to desc nulls first, insured_from desc nulls last, medical_no asc nulls last',
        where="medical_insured_status in ('1', '2')"
    ) }} r
    union all
    select person_id, 'housing_fund', 'hpf/fund_deposit', account_opened_on, account_closed_on, _batch, _row
    from {{ first_of_each(
        ref('stg_hpf__fund_deposit'), 'person_id',
        'account_closed_on desc nulls first, account_opened_on desc nulls last, fund_account asc nulls last',
        where="fund_account_status in ('1', '2')"
    ) }} r
    union all
    select person_id, 'elderly', 'cab/elderly_person', benefit_from, cast(null as date), _batch, _row
    from {{ first_of_each(
        ref('stg_cab__elderly_person'), 'person_id',
        'benefit_from desc nulls last, elderly_record_no asc nulls last'
    ) }} r
    union all
    select person_id, 'deceased', 'cab/cremation', died_on, cast(null as date), _batch, _row
    from {{ first_of_each(
        ref('stg_cab__cremation'), 'person_id', 'died_on desc nulls last, death_certificate_no asc nulls last'
    ) }} r
    union all
    select person_id, 'health_record', 'hc/health_record', opened_on, cast(null as date), _batch, _row
    from {{ first_of_each(
        ref('stg_hc__health_record'), 'person_id', 'opened_on desc nulls last, health_record_no asc nulls last',
        where="record_status = '1'"
    ) }} r
    union all
    select person_id, 'floating', 'psb/floating_person', registered_on, cancelled_on, _batch, _row
    from {{ first_of_each(
        ref('stg_psb__floating_person'), 'person_id',
        'cancelled_on desc nulls first, registered_on desc nulls last, record_no asc nulls last'
    ) }} r
)
select
    c.person_id, c.person_tag, c.tag_source, c.since, c.until,
    '{"' || c.tag_source || '":"' || {{ source_row('c') }} || '"}' as source_rows
from claim c
join {{ ref('lib_population__person') }} p on p.person_id = c.person_id
