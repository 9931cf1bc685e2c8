-- 亲属关系说法中不采用的，注明与什么矛盾、采用的是哪一说；同一说法可与两方各矛盾一次。其余的都采用。
-- The claims of kinship that do not hold, in the direction that contradicts: what speaks against each and what is kept
-- instead. Every other claim holds, in both directions. Of two words for a pair the one of the first source holds. One has
-- one spouse, one father, one mother: the word of the first source holds, and if it names two, neither. A marriage that the
-- marriage register ended, or a later one, refutes the household register. A parent is at least 12 years older than the
-- child. What fails in one direction fails in both: `first_id`, `second_id`, `relation_evidence` and `first_relation` tell
-- the claim; its source rows stand there. Nearly everything holds, so only what may fail is ranked: a window over all
-- claims of a city is many times what memory holds.
{{ config(materialized='interim', key='person_id', tied=kin_ties()) }}
{% set claims = ref('int_population__kin_claim') %}
{% set one_id = 'case when c.person_id < c.related_person_id then c.person_id else c.related_person_id end' %}
{% set other_id = 'case when c.person_id < c.related_person_id then c.related_person_id else c.person_id end' %}
{% set in_pair = '
    partition by s.one_id, s.other_id
    order by c.trust asc nulls last, c.person_id asc nulls last, c.person_relation asc nulls last
' %}
{% set kept = 'case when (k.side = 1) = (c.teller_kept = c.person_id) then c.relation_kept else c.inverse_kept end' %}

with several as (
    select {{ one_id }} as one_id, {{ other_id }} as other_id
    from {{ claims }} c
    group by {{ one_id }}, {{ other_id }}
    having count(*) > 1
),
told_again as (
    select *
    from (
        select
            c.person_id, c.related_person_id, c.person_relation, c.inverse_relation, c.relation_evidence,
            c.relation_source,
            row_number() over ({{ in_pair }}) as place,
            first_value(c.person_id) over ({{ in_pair }}) as teller_kept,
            first_value(c.person_relation) over ({{ in_pair }}) as relation_kept,
            first_value(c.inverse_relation) over ({{ in_pair }}) as inverse_kept,
            first_value(c.relation_source) over ({{ in_pair }}) as source_kept,
            first_value(c.source_row) over ({{ in_pair }}) as row_kept
        from {{ claims }} c
        join several s on s.one_id = {{ one_id }} and s.other_id = {{ other_id }}
    ) ranked
    where place > 1
),
-- sides of claims before they meet anybody: joined as they stand, an engine may pair each claim with each marriage
refutable as (
    select
        w.*,
        'too_young' as verdict,
        cast(null as string) as relation_kept,
        cast(null as string) as kept_person_id,
        cast(null as string) as source_kept,
        cast(null as string) as row_kept
    from (select {{ side_of_claim() }} from {{ both_sides(claims) }}) w
    join {{ ref('lib_population__person') }} p on p.person_id = w.person_id
    join {{ ref('lib_population__person') }} o on o.person_id = w.related_person_id
    where {{ years_older('w.person_relation') }} is not null
        and {{ age_years('o.birth_date', 'p.birth_date') }} < {{ years_older('w.person_relation') }}
    union all
    select
        w.*,
        'marriage_register',
        case when m.marital_status = '20' then '10' end,
        case when m.marital_status = '20' then m.spouse_id end,
        'cab/marriage',
        {{ source_row('m') }}
    from (
        select {{ side_of_claim() }}
        from {{ both_sides(claims) }}
        where {{ kin_class('c.person_relation') }} = '1' and c.relation_source = 'psb/household_person'
    ) w
    join {{ ref('int_population__marriage') }} m on m.person_id = w.person_id
    where (m.marital_status = '20' and m.spouse_id <> w.related_person_id)
        or (m.marital_status = '40' and m.spouse_id = w.related_person_id)
),
refuted as (
    select r.*
    from refutable r
    left join told_again a
        on a.person_id = r.first_id and a.related_person_id = r.second_id
        and a.relation_evidence = r.relation_evidence and a.person_relation = r.first_relation
    where a.person_id is null
),
contested as (
    select person_id, role
    from (
        select
            {{ of_side('person_id', 'related_person_id') }} as person_id,
            {{ of_side('related_person_id', 'person_id') }} as related_person_id,
            {{ only_one(of_side('person_relation', 'inverse_relation')) }} as role
        from {{ both_sides(claims) }}
    ) told
    where role is not null
    group by person_id, role
    having min(related_person_id) < max(related_person_id)
),
-- what age or the marriage register refutes is nobody's rival
ranked as (
    select w.*, min(w.trust) over (partition by w.person_id, w.role) as best
    from (
        select
            {{ side_of_claim() }},
            c.source_row,
            c.trust,
            {{ only_one(of_side('person_relation', 'inverse_relation')) }} as role
        from {{ both_sides(claims) }}
    ) w
    join contested x on x.person_id = w.person_id and x.role = w.role
    left join told_again a
        on a.person_id = w.first_id and a.related_person_id = w.second_id
        and a.relation_evidence = w.relation_evidence and a.person_relation = w.first_relation
    left join refuted r on r.person_id = w.person_id and r.related_person_id = w.related_person_id
    where a.person_id is null and r.person_id is null
),
rivalled as (
    select
        *,
        count(case when trust = best then 1 end) over (partition by person_id, role) as rivals,
        min(case when trust = best then related_person_id end) over (partition by person_id, role) as best_id,
        min(case when trust = best then relation_source end) over (partition by person_id, role) as best_source,
        min(case when trust = best then person_relation end) over (partition by person_id, role) as best_relation,
        min(case when trust = best then source_row end) over (partition by person_id, role) as best_row
    from ranked
),
refused as (
    select
        {{ side_of_claim() }},
        case
            when {{ kin_class(of_side('person_relation', 'inverse_relation')) }} = {{ kin_class(kept) }} then 'said_again'
            else 'differs'
        end as verdict,
        {{ kept }} as relation_kept,
        {{ of_side('related_person_id', 'person_id') }} as kept_person_id,
        c.source_kept,
        c.row_kept
    from {{ both_sides('told_again') }}
    union all
    select * from refuted
    union all
    select
        person_id, related_person_id, person_relation, relation_evidence, relation_source, first_id, second_id,
        first_relation,
        case role when 'spouse' then 'second_spouse' else 'second_parent' end,
        case when rivals = 1 then best_relation end,
        case when rivals = 1 then best_id end,
        case when rivals = 1 then best_source end,
        case when rivals = 1 then best_row end
    from rivalled
    where rivals > 1 or trust > best
),
refused_pair as (
    select person_id, related_person_id from refused where verdict not in ('differs', 'said_again')
    union
    select related_person_id, person_id from refused where verdict not in ('differs', 'said_again')
),
-- who is not what the register says to the head, or says after a better source that was refused, gives no ground for
-- anything else; nor does a child through whom two are in-laws, if it is refused that it is the one's child or is married
-- to the other
doubtful as (
    select second_id as person_id from refused where relation_evidence = 'register' and verdict <> 'said_again'
    union
    select c.related_person_id
    from {{ claims }} c
    join refused_pair f on f.person_id = c.person_id and f.related_person_id = c.related_person_id
    where c.relation_evidence = 'register'
)
select * from refused
union all
select
    c.person_id, c.related_person_id, c.person_relation, c.relation_evidence, c.relation_source,
    c.person_id as first_id,
    c.related_person_id as second_id,
    c.person_relation as first_relation,
    'unfounded', cast(null as string), cast(null as string), cast(null as string), cast(null as string)
from {{ claims }} c
left join doubtful d on d.person_id = c.person_id
left join doubtful e on e.person_id = c.related_person_id
left join doubtful t on t.person_id = c.through_id
left join refused_pair f on f.person_id = c.person_id and f.related_person_id = c.through_id
left join refused_pair s on s.person_id = c.related_person_id and s.related_person_id = c.through_id
where c.relation_evidence in ('derived', 'presumed')
    and coalesce(d.person_id, e.person_id, t.person_id, f.person_id, s.person_id) is not null
