-- 各部门说法不一的项数，一字段一对来源一行。Conflicts by field and pair of sources, so that each department sees its own.
select conflict_field, source_kept, source_other, cast(count(*) as bigint) as conflicts
from {{ ref('lib_population__conflict') }}
group by conflict_field, source_kept, source_other
