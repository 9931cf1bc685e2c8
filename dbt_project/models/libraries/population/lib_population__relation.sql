-- 亲属关系，一对人一行：有效婚姻的配偶（双方各一行），出生证明上的父母与子女（双方各一行）。
-- One row per person and relative, in both directions: spouses whose marriage is in force, parents and children of birth
-- certificates. A newborn has no identity number yet; it is the one person of a parent's household with its name, sex
-- and day of birth, or nobody. Register and marriages are named once: an engine computes them once.
with register as (
    select person_id, household_no, name, birth_date, sex, _batch, _row from {{ ref('int_population__register') }}
),
marriage as (
    select person_id, spouse_id, marriage_registration_no, marital_status, registered_on, _batch, _row
    from {{ ref('int_population__marriage') }}
),
spouse as (
    select
        m.person_id,
        m.spouse_id as related_person_id,
        'spouse' as person_relation,
        m.registered_on as since,
        {{ source_rows({'cab/marriage': 'm'}) }} as source_rows
    from marriage m
    join marriage s
        on s.person_id = m.spouse_id and s.marriage_registration_no = m.marriage_registration_no
    left join {{ ref('int_population__death') }} d on d.person_id = m.person_id
    where m.marital_status = '20' and d.person_id is null
),
birth as (
    select
        b.*,
        {{ city_date('b.born_at') }} as born_on,
        coalesce(mother.household_no, '') as mother_household,
        coalesce(father.household_no, '') as father_household
    from {{ ref('stg_hc__birth_certificate') }} b
    left join register mother on mother.person_id = b.mother_person_id
    left join register father on father.person_id = b.father_person_id
),
candidate as (
    select
        b.birth_certificate_no,
        b.mother_person_id,
        b.father_person_id,
        b.born_on,
        c.person_id as child_id,
        {{ source_rows({'hc/birth_certificate': 'b', 'psb/household_person': 'c'}) }} as source_rows,
        count(*) over (partition by b.birth_certificate_no) as children,
        count(*) over (partition by c.person_id) as certificates
    from birth b
    join register c
        on c.name = b.name and c.birth_date = b.born_on and c.sex = b.sex
        and c.household_no in (b.mother_household, b.father_household)
),
child as (
    select * from candidate where children = 1 and certificates = 1
),
relation as (
    select person_id, related_person_id, person_relation, since, source_rows from spouse
    union all
    select child_id, mother_person_id, 'mother', born_on, source_rows from child where mother_person_id is not null
    union all
    select mother_person_id, child_id, 'child', born_on, source_rows from child where mother_person_id is not null
    union all
    select child_id, father_person_id, 'father', born_on, source_rows from child where father_person_id is not null
    union all
    select father_person_id, child_id, 'child', born_on, source_rows from child where father_person_id is not null
)
select person_id, related_person_id, person_relation, since, source_rows
from relation
