-- 公安户籍人口日报，一镇一日一行。One row per town and day of the household office's own count.
select
    population_report_no, report_day, town_code, registered_households, registered_persons, registered_males,
    registered_females, births_registered, deaths_registered, departures_registered, source_updated_at,
    _batch, _row
from {{ source('core', 'psb__population_report') }}
