-- 亲属关系说法的取舍，双方各一行：relation_conflict 为空的采用，其余注明与什么矛盾。
-- Every claim of kinship in both directions, weighed: without `relation_conflict` it holds. Of two words for a pair the one
-- of the first source holds. One has one spouse, one father, one mother: the word of the first source holds, and if it
-- names two, neither. A marriage that the marriage register ended, or a later one, refutes the household register. A
-- parent is at least 12 years older than the child. What fails in one direction fails in both.
{{ config(materialized='view') }}

with mirrored as (
    select
        person_id, related_person_id, person_relation, relation_evidence, relation_source, since, through_id, source_row,
        source_rows, trust,
        person_id as first_id, related_person_id as second_id
    from {{ ref('int_population__kin_claim') }}
    union all
    select
        related_person_id, person_id, inverse_relation, relation_evidence, relation_source, since, through_id, source_row,
        source_rows, trust,
        person_id, related_person_id
    from {{ ref('int_population__kin_claim') }}
),
told as (
    select
        b.*,
        {{ kin_class('b.person_relation') }} as kind,
        row_number() over (
            partition by b.person_id, b.related_person_id order by b.trust asc nulls last, b.source_rows asc nulls last
        ) as place
    from mirrored b
),
-- what age or the marriage register refutes is nobody's rival
refuted as (
    select
        t.*,
        case
            when {{ age_years('o.birth_date', 'p.birth_date') }} < {{ years_older('t.person_relation') }} then 'too_young'
            when t.kind = '1' and t.relation_source = 'psb/household_person' and (
                (m.marital_status = '20' and m.spouse_id <> t.related_person_id)
                or (m.marital_status = '40' and m.spouse_id = t.related_person_id)
            ) then 'marriage_register'
        end as refutation,
        case when t.kind = '1' and m.marital_status = '20' then m.spouse_id end as married_to,
        {{ source_row('m') }} as marriage_row
    from told t
    left join {{ ref('lib_population__person') }} p on p.person_id = t.person_id
    left join {{ ref('lib_population__person') }} o on o.person_id = t.related_person_id
    left join {{ ref('int_population__marriage') }} m on m.person_id = t.person_id
),
paired as (
    select
        t.*,
        max(case when place = 1 then kind end) over (partition by person_id, related_person_id) as first_class,
        max(case when place = 1 then person_relation end) over (partition by person_id, related_person_id)
            as first_relation,
        max(case when place = 1 then relation_source end) over (partition by person_id, related_person_id)
            as first_source,
        max(case when place = 1 then source_row end) over (partition by person_id, related_person_id) as first_row,
        case
            when place > 1 or refutation is not null then null when kind = '1' then 'spouse' when person_relation in ('51', '52')
                then person_relation
        end as only_one
    from refuted t
),
ranked as (
    select *, min(case when only_one is not null then trust end) over (partition by person_id, only_one) as best
    from paired
),
rivalled as (
    select
        *,
        count(case when trust = best then 1 end) over (partition by person_id, only_one) as rivals,
        min(case when trust = best then related_person_id end) over (partition by person_id, only_one) as best_id,
        min(case when trust = best then relation_source end) over (partition by person_id, only_one) as best_source,
        min(case when trust = best then person_relation end) over (partition by person_id, only_one) as best_relation,
        min(case when trust = best then source_row end) over (partition by person_id, only_one) as best_row
    from ranked
),
judged as (
    select
        r.*,
        case
            when r.place > 1 and r.kind <> r.first_class then 'differs'
            when r.place > 1 then 'said_again'
            when r.refutation is not null then r.refutation
            when r.only_one = 'spouse' and (r.rivals > 1 or r.trust > r.best) then 'second_spouse'
            when r.only_one is not null and (r.rivals > 1 or r.trust > r.best) then 'second_parent'
        end as verdict
    from rivalled r
),
refused_pair as (
    select person_id, related_person_id from judged where place = 1 and verdict is not null
    union
    select related_person_id, person_id from judged where place = 1 and verdict is not null
),
-- who is not what the register says to the head, or says after a better source that was refused, gives no ground for
-- anything else; nor does a child through whom two are in-laws, if it is refused that it is the one's child or is married
-- to the other
doubtful as (
    select distinct j.second_id as person_id
    from judged j
    left join refused_pair f on f.person_id = j.person_id and f.related_person_id = j.related_person_id
    where j.relation_evidence = 'register' and (j.verdict <> 'said_again' or f.person_id is not null)
)
select
    j.*,
    max(
        case
            when coalesce(d.person_id, e.person_id, t.person_id, c.person_id, s.person_id) is not null then 'no_ground'
            else j.verdict
        end
    ) over (partition by j.first_id, j.second_id, j.relation_evidence) as verdict_of_pair
from judged j
left join doubtful d on d.person_id = j.first_id and j.relation_evidence in ('derived', 'presumed')
left join doubtful e on e.person_id = j.second_id and j.relation_evidence in ('derived', 'presumed')
left join doubtful t on t.person_id = j.through_id
left join refused_pair c on c.person_id = j.first_id and c.related_person_id = j.through_id
left join refused_pair s on s.person_id = j.second_id and s.related_person_id = j.through_id
