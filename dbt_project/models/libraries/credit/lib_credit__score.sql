-- 信用评分，登记部门登记且存续的主体一行（个体工商户除外）：基础分加各项得分，得分说明见 lib_credit__score_part；等级按分档表。
-- One row per entity that a register has in business, but for sole traders: the base and the points of every factor,
-- which add up to the score; the grade is the highest whose lowest score is reached. The formula and its weights are this platform's own proposal.
with part as (
    select
        uscc,
        sum(points) as points,
        sum(case when factor_code = 'permit' then points else 0 end) as points_permit,
        sum(case when factor_code = 'kept' then points else 0 end) as points_kept,
        sum(case when factor_code = 'honour' then points else 0 end) as points_honour,
        sum(case when factor_code = 'fine_minor' then points else 0 end) as points_fine_minor,
        sum(case when factor_code = 'fine_major' then points else 0 end) as points_fine_major,
        sum(case when factor_code = 'list_minor' then points else 0 end) as points_list_minor,
        sum(case when factor_code = 'list_serious' then points else 0 end) as points_list_serious,
        sum(case when factor_code = 'broken' then points else 0 end) as points_broken
    from {{ ref('lib_credit__score_part') }}
    group by uscc
),
scored as (
    select
        n.uscc, n.entity_name, b.model_version, b.points_each as base_points,
        coalesce(p.points_permit, 0) as points_permit, coalesce(p.points_kept, 0) as points_kept,
        coalesce(p.points_honour, 0) as points_honour, coalesce(p.points_fine_minor, 0) as points_fine_minor,
        coalesce(p.points_fine_major, 0) as points_fine_major, coalesce(p.points_list_minor, 0) as
        points_list_minor, coalesce(p.points_list_serious, 0) as points_list_serious, coalesce(p.points_broken,
        0) as points_broken,
        b.points_each + coalesce(p.points, 0) as score,
        n.source_rows as entity_rows, b._batch, b._row
    from {{ ref('lib_legal_entity__entity') }} n
    cross join {{ ref('stg_drc__credit_weight') }} b
    left join part p on p.uscc = n.uscc
    where b.factor_code = 'base' and n.entity_class <> '92' and coalesce(n.entity_type, '') <> '9500' and n.entity_status = '1'
),
graded as (
    select
        s.*, g.credit_grade,
        {{ source_rows({'drc/credit_weight': 's', 'drc/credit_grade': 'g'}) }} as weight_rows,
        row_number() over (partition by s.uscc order by g.points_minimum desc nulls last) as place
    from scored s
    join {{ ref('stg_drc__credit_grade') }} g on g.points_minimum <= s.score
)
select
    g.uscc, g.entity_name, g.model_version, g.base_points, g.points_permit, g.points_kept, g.points_honour,
    g.points_fine_minor, g.points_fine_major, g.points_list_minor, g.points_list_serious, g.points_broken, g.score,
    g.credit_grade, d.as_of,
    replace(concat_ws(',', g.entity_rows, g.weight_rows), '},{', ',') as source_rows
from graded g
cross join {{ source('lake', 'edition') }} d
where g.place = 1
