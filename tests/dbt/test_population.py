"""The population library on a handful of people: who counts, where they live, whose word wins, what is kept besides."""

import json
from collections.abc import Iterator
from datetime import date

import pytest
from libraries import Bench, new_bench

from pipelines.contracts.load import Contracts

JINAN, YUAN = "341502", "341503"  # 金安区, 裕安区
NAMES = ("person", "registered", "household", "relation", "person_tag", "conflict", "conflict_count")
DECEASED = "mart_elderly_social__deceased"
MODELS = ["lib_geography__division", *(f"lib_population__{name}" for name in NAMES), DECEASED]


ASKED = {"birth_place": "342401", "native_place": "342426", "registration_kind": "1", "military_status": "2",
         "police_station": "341502001000", "residents_group": "341502001001003", "former_name": "王小毛"}  # fmt: skip


def household(person: str, division: str = f"{JINAN}001001", **given: object) -> dict[str, object]:
    return {
        "record_no": f"R-{person}", "person_id": person, "id_number": f"34150219900101{len(person):04}", "name": "王一",
        "sex": "1", "birth_date": "1990-01-01", "household_no": "H1", "household_relation": "02",
        "division_code": division, "source_updated_at": "2026-01-01 00:00:00+00", **given,
    }  # fmt: skip


def floating(person: str, division: str = f"{YUAN}001", **given: object) -> dict[str, object]:
    return {
        "record_no": f"F-{person}", "person_id": person, "id_number": "110101198503070022", "name": "李二",
        "origin_county": "110101", "division_code": division, "residence_address": "出租屋", "floating_status": "1",
        "registered_on": "2025-05-01", "source_updated_at": "2026-02-01 00:00:00+00", **given,
    }  # fmt: skip


def cremation(person: str, died: str = "2026-09-01") -> dict[str, object]:
    return {"death_certificate_no": f"C-{person}", "person_id": person, "died_on": died}


def marriage(number: str, kind: str, man: str, woman: str, day: str) -> dict[str, object]:
    return {
        "marriage_registration_no": number, "marriage_registration_type": kind, "male_person_id": man,
        "female_person_id": woman, "registered_on": day, "source_updated_at": f"{day} 00:00:00+00",
    }  # fmt: skip


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, contracts: Contracts) -> Iterator[Bench]:
    bench = new_bench(tmp_path_factory.mktemp("population"), contracts)
    bench.load(
        "dsrb/division",
        *({"code": code, "division_name": name, "division_level": level} for code, name, level in (
            (JINAN, "金安区", "county"), (YUAN, "裕安区", "county"), (f"{JINAN}001", "东市街道", "town"),
        )),
    )  # fmt: skip
    bench.load(
        "psb/household_person",
        household("twice", name="旧名", record_no="R-1", source_updated_at="2025-01-01 00:00:00+00"),
        household("twice", name="新名", record_no="R-2", **ASKED),
        household("dead", household_relation="10"),
        household("away", household_no="H2", education="10", former_name="王一"),
        household("left", mobile="13800000001"),
        household("left_dead"),
        household("came_back", household_no="H3", household_relation="10", birth_date="1950-01-01"),
        household("returned", household_no="H3", household_relation="20"),
        household("listed_dead", cancelled="1", died_on="2026-08-01", cancelled_on="2026-08-02",
                  death_kind="1", **ASKED),
        household("listed_gone", cancelled="1", moved_out_on="2026-08-03", cancelled_on="2026-08-03",
                  move_out_kind="2"),
        household("dropped_dead", cancelled="1", died_on="2026-07-01", cancelled_on="2026-07-01"),
    )  # fmt: skip
    gone = ("left", "left_dead", "came_back", "returned", "dropped_dead")
    bench.load("psb/household_person", *(household(person) for person in gone), batch=2, op="D")
    bench.load("psb/floating_person", floating("listed_gone", floating_status="0", cancelled_on="2026-01-01"), batch=2)
    bench.load("psb/household_person", household("returned", household_no="H3", household_relation="20"), batch=3)
    bench.load(
        "psb/floating_person",
        floating("away", mobile="13900000002", record_no="F-1"),
        floating("away", f"{JINAN}001", record_no="F-2", floating_status="0", cancelled_on="2026-06-01"),
        floating("stranger", name="赵三", residence_permit_no="JZ1"),
        floating("came_back", name="钱四"),
        floating("gone_again", floating_status="0", cancelled_on="2026-05-01", residence_permit_no="JZ2"),
    )
    bench.load("cab/cremation", cremation("dead"), cremation("left_dead"), cremation("nobody"))
    bench.build(*MODELS)
    yield bench


@pytest.mark.long
def test_every_person_of_either_register_is_one_row_with_a_status(bench: Bench) -> None:
    found = bench.rows("lib_population__person", "person_id, residence_status, residence_evidence")
    assert found == [
        ("away", "2", "registered_away"),
        ("came_back", "3", "floating"),
        ("dead", "5", "cremated"),
        ("dropped_dead", "5", "register_death"),
        ("gone_again", "4", "floating_ended"),
        ("left", "4", "left_register"),
        ("left_dead", "5", "cremated"),
        ("listed_dead", "5", "register_death"),
        ("listed_gone", "4", "register_moved_out"),
        ("returned", "1", "registered"),
        ("stranger", "3", "floating"),
        ("twice", "1", "registered"),
    ]


@pytest.mark.long
def test_of_several_records_the_latest_counts(bench: Bench) -> None:
    columns = "name, source_rows, county_name, town_name"
    assert bench.rows("lib_population__person", columns, "person_id = 'twice'") == [
        ("新名", '{"psb/household_person":"1:1"}', "金安区", "东市街道")
    ]


def test_who_is_registered_twice_is_dead_if_the_death_was_told_last(
    tmp_path_factory: pytest.TempPathFactory, contracts: Contracts
) -> None:
    """A record cancelled otherwise says nothing beside one that stands, however late; nor does a death beside a record
    that was written after it."""
    bench, ended = new_bench(tmp_path_factory.mktemp("doubles"), contracts), {"cancelled": "1", "record_no": "R-old"}
    early, late = (
        {"cancelled_on": day, "source_updated_at": f"{day} 00:00:00+00"} for day in ("2025-06-01", "2026-06-01")
    )
    bench.load(
        "psb/household_person",
        *(household(person) for person in ("died", "restored", "moved")),
        household("died", **ended, **late, died_on="2026-05-31"),
        household("restored", **ended, **early, died_on="2025-05-31"),
        household("moved", **ended, **late, moved_out_on="2026-05-31"),
    )
    bench.build("lib_geography__division", "lib_population__person")
    found = bench.rows("lib_population__person", "person_id, residence_evidence, died_on, household_no")
    assert found == [
        ("died", "register_death", date(2026, 5, 31), None),
        ("moved", "registered", None, "H1"),
        ("restored", "registered", None, "H1"),
    ]


def test_death_counts_before_the_register_drops_the_person(bench: Bench) -> None:
    columns = "person_id, died_on, household_no"
    assert bench.rows("lib_population__person", columns, "residence_status = '5'") == [
        ("dead", date(2026, 9, 1), "H1"),
        ("dropped_dead", date(2026, 7, 1), None),
        ("left_dead", date(2026, 9, 1), None),
        ("listed_dead", date(2026, 8, 1), None),
    ]


def test_payers_of_benefits_are_told_of_everybody_who_is_dead_and_of_nobody_else(bench: Bench) -> None:
    """By whom it is known stands beside it; who was cremated and is in no register is in no library."""
    found = bench.rows(DECEASED, "person_id, id_number, died_on, residence_evidence, county_name")
    assert found == [
        ("dead", "341502199001010004", date(2026, 9, 1), "cremated", "金安区"),
        ("dropped_dead", "341502199001010012", date(2026, 7, 1), "register_death", "金安区"),
        ("left_dead", "341502199001010009", date(2026, 9, 1), "cremated", "金安区"),
        ("listed_dead", "341502199001010011", date(2026, 8, 1), "register_death", "金安区"),
    ]


def test_who_moved_out_is_told_by_the_register(bench: Bench) -> None:
    columns = "moved_out_on, household_no, residence_address"
    assert bench.rows("lib_population__person", columns, "person_id = 'listed_gone'") == [
        (date(2026, 8, 3), None, None)
    ]


def test_the_registers_say_where_somebody_comes_from_and_who_sees_to_the_registration(bench: Bench) -> None:
    """Of who left the register what is true of a life stays, and what was true of the registration ends."""
    columns = (
        "person_id, birth_place, native_place, former_name, military_status, registration_kind, police_station, "
        "residents_group"
    )
    assert bench.rows("lib_population__person", columns, "birth_place is not null") == [
        ("listed_dead", "342401", "342426", "王小毛", "2", None, None, None),
        ("twice", "342401", "342426", "王小毛", "2", "1", "341502001000", "341502001001003"),
    ]
    assert bench.rows("lib_population__person", "former_name", "person_id = 'away'") == [(None,)]  # it was the name
    permits = bench.rows("lib_population__person", "person_id, residence_permit_no", "residence_permit_no is not null")
    assert permits == [("stranger", "JZ1")]


def test_why_a_registration_ended_is_told_with_its_day(bench: Bench) -> None:
    columns = "person_id, death_certificate_no, death_kind, move_out_kind, cancelled_on"
    assert bench.rows("lib_population__person", columns, "residence_status in ('4', '5') and household_no is null") == [
        ("dropped_dead", None, None, None, date(2026, 7, 1)),
        ("gone_again", None, None, None, None),
        ("left", None, None, None, None),
        ("left_dead", "C-left_dead", None, None, None),
        ("listed_dead", None, "1", None, date(2026, 8, 2)),
        ("listed_gone", None, None, "2", date(2026, 8, 3)),
    ]


def test_a_death_is_the_word_of_the_hall_first_and_of_the_register_else(bench: Bench) -> None:
    found = dict(bench.rows("lib_population__person", "person_id, attr_source", "residence_status = '5'"))
    assert {person: json.loads(sources)["died_on"] for person, sources in found.items()} == {
        "dead": "cab/cremation",
        "left_dead": "cab/cremation",
        "listed_dead": "psb/household_person",
        "dropped_dead": "psb/household_person",
    }


def test_who_left_keeps_the_last_known_values_and_belongs_to_no_household(bench: Bench) -> None:
    columns = "mobile, household_no, residence_address, source_rows"
    assert bench.rows("lib_population__person", columns, "person_id = 'left'") == [
        ("13800000001", None, None, '{"psb/household_person":"1:4"}')
    ]


def test_people_from_elsewhere_have_what_their_registration_and_their_number_say(bench: Bench) -> None:
    columns = "name, sex, birth_date, division_code, county_name, origin_county, household_no"
    assert bench.rows("lib_population__person", columns, "person_id in ('stranger', 'came_back')") == [
        (name, "2", date(1985, 3, 7), f"{YUAN}001", "裕安区", "110101", None) for name in ("赵三", "钱四")
    ]


def test_the_registration_in_force_says_where_a_registered_person_lives(bench: Bench) -> None:
    columns = "division_code, residence_division, residence_address, mobile, attr_source, source_rows"
    ((division, residence, address, mobile, sources, rows),) = bench.rows(
        "lib_population__person", columns, "person_id = 'away'"
    )
    assert (division, residence, address, mobile) == (f"{JINAN}001001", f"{YUAN}001", "出租屋", "13900000002")
    assert json.loads(sources) == {
        **dict.fromkeys(("id_number", "name", "sex", "birth_date", "division_code"), "psb/household_person"),
        **dict.fromkeys(("residence_division", "residence_address", "mobile"), "psb/floating_person"),
        "source_updated_at": "psb/household_person",
    }
    assert json.loads(rows) == {"psb/household_person": "1:3", "psb/floating_person": "1:0"}


def test_the_statistical_base_has_the_living_of_the_register(bench: Bench) -> None:
    found = bench.rows("lib_population__registered", "person_id, age_band")
    assert found == [(person, "35-39") for person in ("away", "returned", "twice")]


def test_households_count_who_is_listed_and_who_of_them_lives(bench: Bench) -> None:
    columns = "household_no, head_person_id, members, living_members, county_name"
    assert bench.rows("lib_population__household", columns) == [
        ("H1", "twice", 2, 1, "金安区"),
        ("H2", "away", 1, 1, "金安区"),
        ("H3", None, 1, 1, "金安区"),
    ]


@pytest.fixture(scope="module")
def families(tmp_path_factory: pytest.TempPathFactory, contracts: Contracts) -> Iterator[Bench]:
    bench = new_bench(tmp_path_factory.mktemp("families"), contracts)
    adults = ("m1", "w1", "m2", "w2", "m3", "w3", "m4", "w4", "single")
    bench.load(
        "psb/household_person",
        *(household(person, marital_status="10", household_no=f"H{person[1]}") for person in adults),
        household("remarried", marital_status="22", household_no="H9", name="王小明", mobile="13800000001"),
        household("child", name="孩子", birth_date="2026-10-02", household_no="H1"),
        household("moved", household_no="H10", address="新址", source_updated_at="2026-02-01 00:00:00+00"),
        household("visited", household_no="H11", address="新址", source_updated_at="2026-02-01 00:00:00+00"),
        household("namesake", name="孩子", birth_date="2026-10-02", household_no="H7"),
        household("gone_head", household_no="H13"),
        household("lodger", household_no="H13", household_relation="97"),
        household("struck", household_no="H12", cancelled="1", died_on="2026-08-31"),
        household("twin_a", name="双胞", birth_date="2026-10-03", household_no="H2"),
        household("twin_b", name="双胞", birth_date="2026-10-03", household_no="H2"),
        household("m5", household_no="H5"),
        household("w5", household_no="H5", cancelled="1", died_on="2026-08-31"),
    )
    bench.load(
        "cab/marriage",
        marriage("1", "1", "m1", "w1", "2010-01-01"),
        marriage("2", "3", "m1", "w1", "2020-01-01"),
        marriage("3", "1", "m2", "w2", "2010-01-01"),
        marriage("4", "2", "m2", "w2", "2015-01-01"),
        marriage("5", "1", "m3", "w3", "2012-01-01"),
        marriage("6", "4", "m3", "w3", "2013-01-01"),
        marriage("7", "1", "m4", "w4", "2012-01-01"),
        marriage("8", "1", "remarried", "w2", "2018-01-01"),
        marriage("9", "1", "m5", "w5", "2012-01-01"),
    )
    bench.load("cab/cremation", cremation("w4"), cremation("struck"), cremation("gone_head"))
    bench.load(
        "hrssb/insurance",
        {"person_id": "remarried", "name": "王晓明", "mobile": "13700000003", "insured_status": "2",
         "insurance_no": "S1",
         "insurance_type": "110", "enrolled_on": "2019-01-01", "handled_at": "2026-01-01 00:00:00+00"},
        {"person_id": "remarried", "name": "王小明", "mobile": "13700000004", "insured_status": "1",
         "insurance_no": "S1",
         "insurance_type": "170", "enrolled_on": "2020-01-01", "handled_at": "2025-01-01 00:00:00+00"},
        {"person_id": "unknown", "name": "无名", "insured_status": "1", "insurance_no": "S2",
         "insurance_type": "110",
         "enrolled_on": "2020-01-01", "handled_at": "2025-01-01 00:00:00+00"},
    )  # fmt: skip
    bench.load(
        "hsb/insured",
        {"person_id": "single", "medical_insured_status": "2", "medical_no": "Y1", "insured_from": "2015-01-01"},
        {"person_id": "m1", "medical_insured_status": "4", "medical_no": "Y2", "insured_from": "2015-01-01",
         "insured_to": "2020-01-01"},
        {"person_id": "unknown", "medical_insured_status": "1", "medical_no": "Y3", "insured_from": "2015-01-01"},
    )  # fmt: skip
    bench.load(
        "hc/health_record",
        {"person_id": "single", "name": "王一一", "sex": "2", "birth_date": "1990-10-01",
         "record_status": "1", "health_record_no": "E1",
         "opened_on": "2020-01-01", "followed_up_on": "2026-03-01", "residence_address": "现住址",
         "division_code": f"{YUAN}001001"},
        {"person_id": "m1", "name": "旧档", "record_status": "0", "health_record_no": "E2", "opened_on": "2020-01-01"},
        {"person_id": "moved", "record_status": "1", "health_record_no": "E3", "opened_on": "2020-01-01",
         "residence_address": "旧址", "division_code": f"{YUAN}001001"},
        {"person_id": "visited", "record_status": "1", "health_record_no": "E4", "opened_on": "2020-01-01",
         "followed_up_on": "2026-02-02", "residence_address": "现住址", "division_code": f"{YUAN}001001"},
    )  # fmt: skip
    born = {"sex": "1", "mother_person_id": "w1", "father_person_id": "m1"}
    bench.load(
        "hc/birth_certificate",
        {"birth_certificate_no": "B1", "name": "孩子", "born_at": "2026-10-01 17:00:00+00", **born},
        {"birth_certificate_no": "B2", "name": "双胞", "born_at": "2026-10-03 01:00:00+00", **born | {
            "mother_person_id": "w2", "father_person_id": None}},
    )  # fmt: skip
    bench.load(
        "cab/subsistence_allowance",
        {"benefit_family_no": "D1", "applicant_person_id": "single", "approved_on": "2024-01-01"},
    )
    bench.load(
        "esb/pupil",
        {"student_no": "G1", "person_id": "child", "pupil_status": "1", "enrolment_date": "2026-09-01"},
        {"student_no": "G2", "person_id": "namesake", "pupil_status": "4", "enrolment_date": "2020-09-01"},
    )
    bench.build(*MODELS)
    yield bench


@pytest.mark.long
def test_the_latest_marriage_registration_decides_and_else_the_register(families: Bench) -> None:
    found = families.rows("lib_population__person", "person_id, marital_status", "marital_status is not null")
    assert dict(found) == {
        **dict.fromkeys(("m1", "w1"), "20"),  # a reissued certificate changes nothing
        "m2": "40",
        "w2": "20",  # married again
        **dict.fromkeys(("m3", "w3", "single"), "10"),  # annulled: what the register says
        **dict.fromkeys(("m4", "m5"), "30"),
        **dict.fromkeys(("w4", "w5"), "20"),
        "remarried": "20",
    }


@pytest.mark.long
def test_a_widowed_person_names_who_told_of_the_death_of_the_spouse(families: Bench) -> None:
    """Who was buried is in the household register alone."""
    found = dict(families.rows("lib_population__person", "person_id, source_rows", "person_id in ('m4', 'm5')"))
    rows = {person: json.loads(one) for person, one in found.items()}
    assert rows["m4"] == {"psb/household_person": "1:6", "cab/marriage": "1:6", "cab/cremation#spouse": "1:0"}
    assert rows["m5"] == {
        "psb/household_person": "1:19", "cab/marriage": "1:8", "psb/household_person#spouse": "1:20",
    }  # fmt: skip


def test_who_died_is_no_head_and_nobody_is_taken_for_the_next(families: Bench) -> None:
    """The household office has not named the next head; row and place are those of who lives there."""
    columns = "head_person_id, members, living_members, source_rows"
    ((head, members, living, rows),) = families.rows("lib_population__household", columns, "household_no = 'H13'")
    ((lodger,),) = families.rows("lib_population__person", "source_rows", "person_id = 'lodger'")
    assert (head, members, living, rows) == (None, 2, 1, lodger)


def test_relations_are_marriages_in_force_and_births_that_one_person_fits(families: Bench) -> None:
    assert families.rows("lib_population__relation", "person_id, person_relation, related_person_id, since") == [
        ("child", "51", "m1", date(2026, 10, 2)),
        ("child", "52", "w1", date(2026, 10, 2)),
        ("m1", "10", "w1", date(2010, 1, 1)),
        ("m1", "20", "child", date(2026, 10, 2)),
        ("remarried", "10", "w2", date(2018, 1, 1)),
        ("w1", "10", "m1", date(2010, 1, 1)),
        ("w1", "20", "child", date(2026, 10, 2)),
        ("w2", "10", "remarried", date(2018, 1, 1)),
    ]


def test_tags_are_of_known_persons_and_of_what_still_holds(families: Bench) -> None:
    columns = "person_id, person_tag, tag_source, since, until, source_rows"
    assert families.rows("lib_population__person_tag", columns) == [
        ("child", "pupil", "esb/pupil", date(2026, 9, 1), None, '{"esb/pupil":"1:0"}'),
        ("gone_head", "deceased", "cab/cremation", date(2026, 9, 1), None, '{"cab/cremation":"1:2"}'),
        ("moved", "health_record", "hc/health_record", date(2020, 1, 1), None, '{"hc/health_record":"1:2"}'),
        ("remarried", "insured", "hrssb/insurance", date(2020, 1, 1), None, '{"hrssb/insurance":"1:1"}'),
        ("single", "health_record", "hc/health_record", date(2020, 1, 1), None, '{"hc/health_record":"1:0"}'),
        ("single", "medical_insured", "hsb/insured", date(2015, 1, 1), None, '{"hsb/insured":"1:0"}'),
        ("single", "subsistence", "cab/subsistence_allowance", date(2024, 1, 1), None,
         '{"cab/subsistence_allowance":"1:0"}'),
        ("struck", "deceased", "cab/cremation", date(2026, 9, 1), None, '{"cab/cremation":"1:1"}'),
        ("visited", "health_record", "hc/health_record", date(2020, 1, 1), None, '{"hc/health_record":"1:3"}'),
        ("w4", "deceased", "cab/cremation", date(2026, 9, 1), None, '{"cab/cremation":"1:0"}'),
    ]  # fmt: skip


def test_what_other_departments_say_is_kept_and_counted(families: Bench) -> None:
    columns = "person_id, conflict_field, value_kept, value_other, source_kept, source_other"
    conflicts = families.rows("lib_population__conflict", columns)
    register = "psb/household_person"
    assert conflicts == [
        ("m1", "marital_status", "20", "10", "cab/marriage", register),
        ("m2", "marital_status", "40", "10", "cab/marriage", register),
        ("m4", "marital_status", "30", "10", "cab/marriage", register),
        ("remarried", "mobile", "13800000001", "13700000004", register, "hrssb/insurance"),
        ("single", "birth_date", "1990-01-01", "1990-10-01", register, "hc/health_record"),
        ("single", "name", "王一", "王一一", register, "hc/health_record"),
        ("single", "sex", "1", "2", register, "hc/health_record"),
        ("struck", "died_on", "2026-09-01", "2026-08-31", "cab/cremation", register),
        ("w1", "marital_status", "20", "10", "cab/marriage", register),
        ("w2", "marital_status", "20", "10", "cab/marriage", register),
        ("w4", "marital_status", "20", "10", "cab/marriage", register),
    ]
    counted = families.rows("lib_population__conflict_count", "sum(conflicts), count(*)")
    assert counted == [(len(conflicts), 6)]
    ((rows,),) = families.rows("lib_population__conflict", "source_rows", "conflict_field = 'name'")
    assert json.loads(rows) == {register: "1:8", "hc/health_record": "1:0"}


def test_without_other_sources_the_health_record_says_where_one_lives(families: Bench) -> None:
    columns = "residence_division, residence_address"
    assert families.rows("lib_population__person", columns, "person_id = 'single'") == [(f"{YUAN}001001", "现住址")]
    assert families.rows("lib_population__person", "residence_status", "person_id = 'single'") == [("1",)]


def test_a_health_record_says_where_one_lives_if_somebody_looked_since_the_register_changed(families: Bench) -> None:
    columns = "person_id, residence_division, residence_address, attr_source"
    found = families.rows("lib_population__person", columns, "person_id in ('moved', 'visited')")
    assert [row[:3] for row in found] == [
        ("moved", f"{JINAN}001001", "新址"), ("visited", f"{YUAN}001001", "现住址"),
    ]  # fmt: skip
    assert [json.loads(row[3])["residence_address"] for row in found] == ["psb/household_person", "hc/health_record"]
