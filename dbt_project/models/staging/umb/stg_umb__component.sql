-- 城市部件，一个部件一行。One row per component.
select
    component_no, component_class, component_status, component_owner, surveyed_on, datum, component_position,
    _batch, _row
from {{ source('core', 'umb__component') }}
