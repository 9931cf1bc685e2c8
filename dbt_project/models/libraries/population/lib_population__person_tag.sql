-- 人员标签，一人一标签一行：低保、在籍学生、社保和医保参保、健康档案、公积金、老年人、流动登记、死亡；只限人口库中的人。
-- One row per person of the library and tag, from the record that says so best.
with claim as (
    select
        applicant_person_id as person_id, 'subsistence' as person_tag, 'cab/subsistence_allowance' as tag_source,
        approved_on as since, cast(null as date) as until, benefit_family_no as record, _batch, _row
    from {{ ref('stg_cab__subsistence_allowance') }}
    union all
    select person_id, 'pupil', 'esb/pupil', enrolment_date, cast(null as date), student_no, _batch, _row
    from {{ ref('stg_esb__pupil') }}
    where pupil_status in ('1', '3')
    union all
    select
        person_id, 'insured', 'hrssb/insurance', enrolled_on, cast(null as date), insurance_type || insurance_no,
        _batch, _row
    from {{ ref('stg_hrssb__insurance') }}
    where insured_status in ('1', '2')
    union all
    select
        person_id, 'medical_insured', 'hsb/insured', insured_from, insured_to, medical_no, _batch, _row
    from {{ ref('stg_hsb__insured') }}
    where medical_insured_status in ('1', '2')
    union all
    select
        person_id, 'housing_fund', 'hpf/fund_deposit', account_opened_on, account_closed_on, fund_account, _batch, _row
    from {{ ref('stg_hpf__fund_deposit') }}
    where fund_account_status in ('1', '2')
    union all
    select
        person_id, 'elderly', 'cab/elderly_person', benefit_from, cast(null as date), elderly_record_no, _batch, _row
    from {{ ref('stg_cab__elderly_person') }}
    union all
    select person_id, 'deceased', 'cab/cremation', died_on, cast(null as date), death_certificate_no, _batch, _row
    from {{ ref('stg_cab__cremation') }}
    union all
    select person_id, 'health_record', 'hc/health_record', opened_on, cast(null as date), health_record_no, _batch, _row
    from {{ ref('stg_hc__health_record') }}
    where record_status = '1'
    union all
    select person_id, 'floating', 'psb/floating_person', registered_on, cancelled_on, record_no, _batch, _row
    from {{ ref('stg_psb__floating_person') }}
),
ranked as (
    select
        c.*,
        row_number() over (
            partition by c.person_id, c.person_tag
            order by c.until desc nulls first, c.since desc nulls last, c.record asc nulls last
        ) as place
    from claim c
    join {{ ref('lib_population__person') }} p on p.person_id = c.person_id
)
select
    person_id, person_tag, tag_source, since, until,
    '{"' || tag_source || '":"' || {{ source_row('r') }} || '"}' as source_rows
from ranked r
where place = 1
