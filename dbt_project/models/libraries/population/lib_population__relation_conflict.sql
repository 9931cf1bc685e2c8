-- 亲属关系的矛盾，一项一行：采用的说法和未采用的说法都保留；两说同等可信、或较可信的一说也被否定的，都不采用。
-- One row per claim of kinship that was refused, as the side sees it that it contradicts: what is kept instead, or nothing
-- if two claims are worth the same or the better one is refused itself, and what is not kept. `#kept` is the source row of
-- what is kept, or of the divorce or wedding that refutes.
{{ config(key='person_id', tied=kin_ties()) }}
with refused as (
    select r.*, c.source_rows
    from {{ ref('int_population__kin_refused') }} r
    join {{ ref('int_population__kin_claim') }} c
        on c.person_id = r.first_id and c.related_person_id = r.second_id
        and c.relation_evidence = r.relation_evidence and c.person_relation = r.first_relation
    where r.verdict not in ('said_again', 'unfounded')
),
kept as (
    select
        r.*,
        case when h.person_id is null then null else r.relation_kept end as relation_held,
        h.related_person_id as person_held,
        case when r.verdict = 'marriage_register' or h.person_id is not null then r.source_kept end as source_held,
        case when r.verdict = 'marriage_register' or h.person_id is not null then r.row_kept end as row_held
    from refused r
    left join {{ ref('lib_population__relation') }} h
        on h.person_id = r.person_id and h.related_person_id = r.kept_person_id
)
select
    person_id,
    related_person_id,
    verdict as relation_conflict,
    person_relation as relation_other,
    relation_held as relation_kept,
    person_held as kept_person_id,
    relation_evidence,
    relation_source as source_other,
    source_held as source_kept,
    substr(source_rows, 1, length(source_rows) - 1)
        || coalesce(',"' || source_held || '#kept":"' || row_held || '"', '') || '}' as source_rows
from kept
