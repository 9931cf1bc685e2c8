-- 亲属关系的矛盾，一项一行：采用的说法和未采用的说法都保留；两说同等可信、或较可信的一说也被否定的，都不采用。
-- One row per claim of kinship that was refused, as the side sees it that it contradicts: what is kept instead, or nothing
-- if two claims are worth the same or the better one is refused itself, and what is not kept. `#kept` is the source row of
-- what is kept, or of the divorce or wedding that refutes.
with refused as (
    select
        *,
        case
            when verdict in ('second_spouse', 'second_parent') and rivals > 1 then 'nothing'
            when verdict in ('second_spouse', 'second_parent') then 'best'
            else verdict
        end as kept
    from {{ ref('int_population__kin') }}
    where verdict is not null and verdict <> 'said_again'
),
beside as (
    select
        *,
        case kept
            when 'differs' then first_relation
            when 'best' then best_relation
            when 'marriage_register' then case when married_to is not null then '10' end
        end as relation_kept,
        case kept
            when 'differs' then related_person_id when 'best' then best_id when 'marriage_register' then married_to
        end as kept_person_id,
        case kept
            when 'differs' then first_source when 'best' then best_source when 'marriage_register' then 'cab/marriage'
        end as source_kept,
        case kept
            when 'differs' then first_row when 'best' then best_row when 'marriage_register' then marriage_row
        end as row_kept
    from refused
),
kept as (
    select
        b.*,
        case when h.person_id is null then null else b.relation_kept end as relation_held,
        h.related_person_id as person_held,
        case when b.kept = 'marriage_register' or h.person_id is not null then b.source_kept end as source_held,
        case when b.kept = 'marriage_register' or h.person_id is not null then b.row_kept end as row_held
    from beside b
    left join {{ ref('lib_population__relation') }} h
        on h.person_id = b.person_id and h.related_person_id = b.kept_person_id
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
