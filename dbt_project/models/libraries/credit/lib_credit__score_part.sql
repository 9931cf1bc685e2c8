-- 信用评分的各项得分，一个主体一项一行：得分 = 事件数 × 每项分值，绝对值不超过上限。
-- One row per subject and factor: points = events x points for each, at most the limit on either side of nothing.
with counted as (
    select uscc, factor_code, cast(sum(1) as bigint) as events
    from {{ ref('lib_credit__score_event') }}
    group by uscc, factor_code
)
select
    c.uscc, c.factor_code, c.events, w.points_each, w.points_limit,
    cast(least(greatest(c.events * w.points_each, -w.points_limit), w.points_limit) as double) as points,
    w.model_version,
    {{ source_rows({'drc/credit_weight': 'w'}) }} as source_rows
from counted c
join {{ ref('stg_drc__credit_weight') }} w on w.factor_code = c.factor_code
