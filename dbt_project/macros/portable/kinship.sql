{# Kinship: what a code of GB/T 4761 says from the other side, and who is whose relative by sex and age. Relations are
   always read "the related person is the person's ...". Where a relation comes from is said by the models. #}

{# By what persons are tied to each other: what is said of kinship in one group hangs on nobody outside it. #}
{% macro kin_ties() -%}
  {{ return(['household_no', 'spouse_id', 'mother_person_id', 'father_person_id']) }}
{%- endmacro %}


{# What members are to the head as a table `k` (code, role, to_man, to_woman): `to_man` and `to_woman` are what a male and
   a female head is to the member. Only codes that have such an answer: 其他 (80), 其他亲属 (97) and 非亲属 (99) say
   nothing of whose child somebody is, and the wife of a brother has no exact word for it. `role` is for those from whom
   relations among members follow; 养子或继子 (27, 37) has none, for a stepchild is no sibling by blood. #}
{% macro head_relations() -%}
  (values
    ('10', 'spouse', '10', '10'), ('11', 'spouse', '12', '12'), ('12', 'spouse', '11', '11'),
    {%- for code in ['20', '21', '22', '23', '24', '25', '26', '29', '30', '31', '32', '33', '34', '35', '36', '39'] %}
    ('{{ code }}', 'child', '51', '52'),{% endfor %}
    ('27', '', '57', '58'), ('37', '', '57', '58'), ('28', '', '55', '56'), ('38', '', '53', '54'),
    ('40', '', '60', '60'), ('41', '', '61', '62'), ('42', '', '61', '62'), ('43', '', '63', '64'),
    ('44', '', '63', '64'), ('47', '', '66', '67'), ('48', '', '66', '67'), ('50', '', '20', '30'),
    ('51', 'parent', '20', '30'), ('52', 'parent', '20', '30'), ('53', '', '38', '38'), ('54', '', '38', '38'),
    ('55', '', '28', '28'), ('56', '', '28', '28'), ('57', '', '27', '37'), ('58', '', '27', '37'),
    ('60', '', '40', '40'), ('61', '', '41', '42'), ('62', '', '41', '42'), ('63', '', '43', '44'),
    ('64', '', '43', '44'), ('65', '', '46', '45'), ('66', '', '47', '48'), ('67', '', '47', '48'),
    ('70', 'sibling', '70', '70'), ('71', 'sibling', '73', '77'), ('73', 'sibling', '71', '75'),
    ('75', 'sibling', '73', '77'), ('77', 'sibling', '71', '75'), ('91', '', '91', '91'), ('92', '', '92', '92')
  ) k (code, role, to_man, to_woman)
{%- endmacro %}


{# One code for a man, another for everybody else. #}
{% macro by_sex(sex, man, other) -%}
  case when {{ sex }} = '1' then '{{ man }}' else '{{ other }}' end
{%- endmacro %}


{# Which sibling `other` is to `one`: elder or younger brother or sister; of twins just a sibling. #}
{% macro sibling(one, other) -%}
  case
    when {{ other }}.birth_date < {{ one }}.birth_date then {{ by_sex(other ~ '.sex', '71', '75') }}
    when {{ other }}.birth_date > {{ one }}.birth_date then {{ by_sex(other ~ '.sex', '73', '77') }}
    else '70'
  end
{%- endmacro %}


{# What two words for a relation have in common if they mean the same: 长子 and 子 are children, 女婿 is none. #}
{% macro kin_class(relation) -%}
  case
    when {{ relation }} in ('28', '38') then 'child_in_law'
    when {{ relation }} in ('27', '37') then 'stepchild'
    when substr({{ relation }}, 1, 1) in ('2', '3') then 'child'
    when {{ relation }} in ('53', '54', '55', '56') then 'parent_in_law'
    when {{ relation }} in ('57', '58') then 'stepparent'
    else substr({{ relation }}, 1, 1)
  end
{%- endmacro %}


{# Years a relative must be older than the person, at the least; NULL where age says nothing. #}
{% macro years_older(relation) -%}
  case when {{ relation }} in ('50', '51', '52') then 12 when substr({{ relation }}, 1, 1) = '6' then 24 end
{%- endmacro %}


{# Claims of kinship as `c`, each seen from both of its sides: `k.side` is 1 for the one who tells, 2 for the other. #}
{% macro both_sides(claims) -%}
  {{ claims }} c cross join (values (1), (2)) k (side)
{%- endmacro %}


{# What a side of such a claim has where the teller has `one` and the other has `other`. #}
{% macro of_side(one, other) -%}
  case k.side when 1 then c.{{ one }} else c.{{ other }} end
{%- endmacro %}


{# The person of such a side, who is related to whom and what that one is, and how the claim is known: its sides as they
   were told, what it says and what kind of evidence it has. #}
{% macro side_of_claim() -%}
  {{ of_side('person_id', 'related_person_id') }} as person_id,
  {{ of_side('related_person_id', 'person_id') }} as related_person_id,
  {{ of_side('person_relation', 'inverse_relation') }} as person_relation,
  c.relation_evidence, c.relation_source,
  c.person_id as first_id,
  c.related_person_id as second_id,
  c.person_relation as first_relation
{%- endmacro %}


{# Of what a relation says there can be one: a spouse, a father, a mother; NULL for the others. #}
{% macro only_one(relation) -%}
  case when {{ relation }} in ('51', '52') then {{ relation }} when substr({{ relation }}, 1, 1) = '1' then 'spouse' end
{%- endmacro %}
