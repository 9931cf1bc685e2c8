-- 法定代表人关联结果，按登记数源、主体大类和结果统计。Links to the population library by register, class and outcome.
select register_source, entity_class, representative_link, cast(count(*) as bigint) as entities
from {{ ref('lib_legal_entity__representative') }}
group by register_source, entity_class, representative_link
