-- 各部门各县区每月好差评。Evaluations by department, county and month; comments never leave the lake.
with graded as (
    select
        c.department_name, c.county_code, c.county_name,
        substr(cast({{ city_date('e.evaluated_at') }} as string), 1, 7) as month,
        e.satisfaction
    from {{ ref('stg_dsrb__evaluation') }} e
    join {{ ref('mart_gov_service__case') }} c on c.case_no = e.case_no
)
select
    department_name, county_code, county_name, month,
    cast(count(*) as bigint) as evaluations,
    {% for grade, name in (('5', 'very_satisfied'), ('4', 'content'), ('3', 'fairly_satisfied'), ('2', 'dissatisfied'),
        ('1', 'very_dissatisfied')) %}
    cast(sum(case when satisfaction = '{{ grade }}' then 1 else 0 end) as bigint) as {{ name }},
    {% endfor %}
    cast(sum(case when satisfaction in ('5', '4', '3') then 1 else 0 end) as bigint) as satisfied,
    cast({{ share("sum(case when satisfaction in ('5', '4', '3') then 1 else 0 end)", 'count(*)') }} as double)
        as satisfaction_rate
from graded
group by department_name, county_code, county_name, month
