-- 死亡人员，一人一行：人口基础库判定为死亡的人，供养老、社保、医保待遇的发放单位核查。
-- Who is dead by the population library, for those who pay pensions and insurance: they know persons by their numbers.
select
    p.person_id, p.id_number, p.name, p.died_on, p.residence_evidence, p.division_code, p.county_name, p.source_rows
from {{ ref('lib_population__person') }} p
where p.residence_status = '5'
