-- 法定代表人与人口库的关联，一个登记在册的主体一行：以经校验的证件号码找人，找不到或对不上的说明原因，从不按姓名关联。
-- One row per registered entity: whether the number of its legal representative is that of somebody in the population
-- library, and if not why. Names never link anybody; they only cast doubt.
select
    e.uscc, e.entity_class, e.register_source, e.legal_representative, e.legal_representative_person_id,
    case
        when e.legal_representative_person_id is null then 'no_number'
        when p.person_id is null then 'not_in_library'
        when p.name <> e.legal_representative then 'name_differs'
        when p.residence_status = '5' then 'deceased'
        else 'linked'
    end as representative_link,
    replace(concat_ws(',', e.source_rows, p.source_rows), '},{', ',') as source_rows
from {{ ref('lib_legal_entity__entity') }} e
left join {{ ref('lib_population__person') }} p on p.person_id = e.legal_representative_person_id
where e.register_source is not null
