-- 信用评分权重，一行一项。One row per factor of the score.
select
    factor_code, model_version, points_each, points_limit, window_years, weight_source, confidence, _batch, _row
from {{ source('core', 'drc__credit_weight') }}
