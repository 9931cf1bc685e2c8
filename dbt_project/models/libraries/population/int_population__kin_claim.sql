-- 亲属关系的各种说法：婚姻登记、出生医学证明、户籍登记与户主关系，以及由后者可以确定的同户成员之间的关系。
-- What is said of who is whose relative, before it is weighed: marriages in force, birth certificates, what the household
-- register says of members and head, and what follows from that with certainty among members. A household with two heads
-- or more than 50 coded members (a collective one) says nothing. That the spouse of a head is also the parent of the head's
-- child follows from a marriage before the birth alone; whoever that child is married to is then an in-law of both. Each
-- claim stands once: `person_relation` is what the related person is, `inverse_relation` what the person is;
-- `through_id` is the child through whom the two are related.
{{ config(materialized='interim', key='person_id', tied=kin_ties()) }}

with register as (
    select person_id, name, sex, birth_date, household_no, household_relation, marital_status, _batch, _row
    from {{ ref('int_population__register') }}
),
marriage as (
    select person_id, spouse_id, marriage_registration_no, marital_status, registered_on, _batch, _row
    from {{ ref('int_population__marriage') }}
),
death as (
    select person_id from {{ ref('int_population__dead') }}
),
birth as (
    select
        b.*,
        mother.household_no as mother_household,
        father.household_no as father_household
    from {{ ref('int_population__birth') }} b
    left join register mother on mother.person_id = b.mother_person_id
    left join register father on father.person_id = b.father_person_id
),
candidate as (
    select
        b.mother_person_id,
        b.father_person_id,
        b.born_on,
        c.person_id as child_id,
        c.sex,
        {{ source_row('b') }} as source_row,
        {{ source_rows({'hc/birth_certificate': 'b', 'psb/household_person': 'c'}) }} as source_rows,
        count(*) over (partition by b.person_id, b.birth_certificate_no) as children,
        count(*) over (partition by c.person_id) as certificates
    from birth b
    join register c
        on c.name = b.name and c.birth_date = b.born_on and c.sex = b.sex
        and c.household_no in (b.mother_household, b.father_household)
),
child as (
    select * from candidate where children = 1 and certificates = 1
),
family as (
    select household_no
    from register
    where household_no is not null and household_relation is not null
    group by household_no
    having count(*) <= 50 and count(case when household_relation in ('01', '02') then 1 end) = 1
),
head as (
    select r.*
    from register r
    join family f on f.household_no = r.household_no
    where r.household_relation in ('01', '02')
),
member as (
    select
        m.person_id, m.household_no, m.household_relation, m.sex, m.birth_date, m._batch, m._row,
        substr(m.marital_status, 1, 1) as married,
        case when d.person_id is null then 1 else 0 end as living,
        h.person_id as head_id,
        h.sex as head_sex,
        case when hd.person_id is null then 1 else 0 end as head_living,
        {{ source_row('h') }} as head_row,
        k.role,
        case
            when k.role = 'sibling' then {{ sibling('m', 'h') }}
            when h.sex = '1' then k.to_man
            else k.to_woman
        end as inverse_relation
    from register m
    join head h on h.household_no = m.household_no and h.person_id <> m.person_id
    join {{ head_relations() }} on k.code = m.household_relation
    left join death d on d.person_id = m.person_id
    left join death hd on hd.person_id = h.person_id
),
wedding as (
    select person_id, spouse_id, registered_on, _batch, _row from marriage where marital_status = '20'
),
derived as (
    select
        a.person_id,
        b.person_id as related_person_id,
        case
            when a.role = 'child' then {{ sibling('a', 'b') }}
            when b.role = 'parent' then '10'
            when b.role = 'spouse' then {{ by_sex('a.head_sex', '38', '28') }}
            when a.head_sex = '1' then {{ by_sex('b.sex', '41', '42') }}
            else {{ by_sex('b.sex', '43', '44') }}
        end as person_relation,
        case
            when a.role = 'child' then {{ sibling('b', 'a') }}
            when b.role = 'parent' then '10'
            when b.role = 'spouse' and a.head_sex = '1'
                then case a.household_relation when '51' then '53' else '54' end
            when b.role = 'spouse' then case a.household_relation when '51' then '55' else '56' end
            when a.head_sex = '1' then case a.household_relation when '51' then '61' else '62' end
            else case a.household_relation when '51' then '63' else '64' end
        end as inverse_relation,
        {{ source_row('b') }} as source_row,
        {{ source_rows(
            {'psb/household_person': 'b', 'psb/household_person#person': 'a'},
            {'psb/household_person#head': 'a.head_row'}
        ) }} as source_rows
    from member a
    join member b on b.household_no = a.household_no
    where (a.role = 'child' and b.role = 'child' and a.person_id < b.person_id)
        or (a.role = 'parent' and b.role in ('child', 'spouse'))
        or (
            a.household_relation = '51' and b.household_relation = '52' and a.married = '2' and b.married = '2'
            and a.living = 1 and b.living = 1
        )
),
presumed as (
    select
        a.person_id,
        b.person_id as related_person_id,
        {{ by_sex('b.sex', '20', '30') }} as person_relation,
        {{ by_sex('a.sex', '51', '52') }} as inverse_relation,
        a.household_no,
        {{ source_row('a') }} as person_row,
        {{ source_row('w') }} as wedding_row,
        a.head_row,
        {{ source_row('b') }} as source_row
    from member a
    join wedding w on w.person_id = a.person_id and w.spouse_id = a.head_id
    join member b on b.household_no = a.household_no
    where a.role = 'spouse' and b.role = 'child' and w.registered_on <= b.birth_date
),
in_law as (
    select
        p.person_id,
        b.person_id as related_person_id,
        b.household_relation as person_relation,
        case
            when b.household_relation = '38' then case p.inverse_relation when '51' then '53' else '54' end
            when p.inverse_relation = '51' then '55'
            else '56'
        end as inverse_relation,
        c.person_id as through_id,
        {{ source_row('b') }} as source_row,
        {{ source_rows(
            {'psb/household_person': 'b', 'cab/marriage': 'm'},
            {
                'psb/household_person#person': 'p.person_row', 'psb/household_person#child': 'p.source_row',
                'cab/marriage#parents': 'p.wedding_row', 'psb/household_person#head': 'b.head_row'
            }
        ) }} as source_rows
    from member b
    join marriage m on m.person_id = b.person_id and m.marital_status = '20'
    join marriage c
        on c.person_id = m.spouse_id and c.marriage_registration_no = m.marriage_registration_no
    join presumed p on p.related_person_id = c.person_id and p.household_no = b.household_no
    where b.household_relation in ('28', '38')
),
claim as (
    select
        m.person_id,
        m.spouse_id as related_person_id,
        '10' as person_relation,
        '10' as inverse_relation,
        'marriage' as relation_evidence,
        'cab/marriage' as relation_source,
        m.registered_on as since,
        cast(null as string) as through_id,
        {{ source_row('m') }} as source_row,
        {{ source_rows({'cab/marriage': 'm'}) }} as source_rows
    from marriage m
    join marriage s
        on s.person_id = m.spouse_id and s.marriage_registration_no = m.marriage_registration_no
    left join death d on d.person_id = m.person_id
    where m.marital_status = '20' and d.person_id is null and m.person_id < m.spouse_id
    union all
    select
        child_id, mother_person_id, '52', {{ by_sex('sex', '20', '30') }}, 'birth', 'hc/birth_certificate', born_on,
        cast(null as string), source_row, source_rows
    from child
    where mother_person_id is not null
    union all
    select
        child_id, father_person_id, '51', {{ by_sex('sex', '20', '30') }}, 'birth', 'hc/birth_certificate', born_on,
        cast(null as string), source_row, source_rows
    from child
    where father_person_id is not null
    union all
    select
        m.head_id, m.person_id, m.household_relation, m.inverse_relation, 'register', 'psb/household_person',
        cast(null as date), cast(null as string), {{ source_row('m') }},
        {{ source_rows({'psb/household_person': 'm'}, {'psb/household_person#head': 'm.head_row'}) }}
    from member m
    where m.role <> 'spouse' or (m.living = 1 and m.head_living = 1)
    union all
    select
        person_id, related_person_id, person_relation, inverse_relation, 'derived', 'psb/household_person',
        cast(null as date), cast(null as string), source_row, source_rows
    from derived
    union all
    select
        person_id, related_person_id, person_relation, inverse_relation, 'presumed', 'psb/household_person',
        cast(null as date), cast(null as string), source_row,
        {{ source_rows({}, {
            'psb/household_person': 'source_row', 'psb/household_person#person': 'person_row',
            'cab/marriage': 'wedding_row', 'psb/household_person#head': 'head_row'
        }) }}
    from presumed
    union all
    select
        person_id, related_person_id, person_relation, inverse_relation, 'presumed', 'psb/household_person',
        cast(null as date), through_id, source_row, source_rows
    from in_law
)
select
    c.person_id, c.related_person_id, c.person_relation, c.inverse_relation, c.relation_evidence, c.relation_source,
    c.since, c.through_id, c.source_row, c.source_rows,
    cast(10 * k.place + case c.relation_evidence when 'derived' then 1 when 'presumed' then 2 else 0 end as int)
        as trust
from claim c
join {{ authority_list('population/relation', 'person_relation') }} on k.source = c.relation_source
