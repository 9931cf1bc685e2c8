-- 城市管理案件，一行一件。One row per case of urban management.
select
    urban_case_no, grid_code, urban_case_class, small_class, component_no, urban_case_source, reported_at,
    dispatched_at, due_at, finished_at, closed_at, department_name, rework, source_updated_at, _batch, _row
from {{ source('core', 'umb__urban_case') }}
