"""The legal entity library on a few rows: every register, who is believed, what belongs together, names, heads."""

import json
from collections.abc import Iterator
from datetime import date

import pytest
from libraries import Bench, Row, new_bench

from pipelines.codecs import gb32100
from pipelines.contracts.load import Contracts
from tests.memory import connection

COUNTY, OTHER = "341502", "341503"
ENTITY, LINK = "lib_legal_entity__entity", "lib_legal_entity__representative"
MODELS = tuple(
    f"lib_legal_entity__{name}"
    for name in (
        "entity", "former_name", "conflict", "conflict_count", "representative", "representative_count", "shareholder",
    )
)  # fmt: skip
FIRM, BRANCH, SOCIAL, SCHOOL, VILLAGE, LAWYERS, SHELL = (
    "91341502MA2N12344B", "91341502MA2N00001X", "52341502MJA123454X", "12341502MB0987650L", "N2341502MF12345670",
    "31340000MD00000001", "91341502MA2N00002Q",
)  # fmt: skip
UPDATED = "2026-01-01 00:00:00+00"


def registered(uscc: str, name: str, **given: object) -> Row:
    return {
        "subject_no": f"N-{uscc}", "uscc": uscc, "entity_name": name, "entity_status": "1",
        "established_on": "2010-01-01", "legal_representative": "张三", "legal_representative_person_id": "zhang",
        "source_updated_at": UPDATED, **given,
    }  # fmt: skip


def declared(number: int, uscc: str, name: str, day: str, **given: object) -> Row:
    return {
        "declaration_no": f"S{number}", "uscc": uscc, "entity_name": name, "taxpayer_status": "1",
        "tax_credit_level": "A", "declared_on": day, "tax_period": "202512", **given,
    }  # fmt: skip


def decided(number: str, day: str, **given: object) -> Row:
    """A decision about the branch, which names another head than the register."""
    return {
        "credit_record_no": number, "uscc": BRANCH, "subject_name": "乙分公司", "legal_representative": "张三",
        "decided_on": day, "document_status": "1", **given,
    }  # fmt: skip


def person(key: str, name: str) -> Row:
    return {
        "record_no": f"R-{key}", "person_id": key, "name": name, "division_code": f"{COUNTY}001001",
        "id_number": f"I-{key}", "source_updated_at": UPDATED,
    }  # fmt: skip


def renamed(number: int, before: str, day: str, **given: object) -> Row:
    return {
        "alteration_no": f"V{number}", "subject_no": f"N-{FIRM}", "alteration_item": "名称变更",
        "value_before": before, "altered_on": day, "source_updated_at": UPDATED, **given,
    }  # fmt: skip


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, contracts: Contracts) -> Iterator[Bench]:
    bench = new_bench(tmp_path_factory.mktemp("legal entities"), contracts)
    counties = ((COUNTY, "金安区"), (OTHER, "裕安区"))
    bench.load(
        "dsrb/division",
        *({"code": code, "division_name": name, "division_level": "county"} for code, name in counties),
    )
    bench.load("psb/household_person", person("zhang", "张三"), person("li", "李四"), person("wang", "王五"))
    bench.load("cab/cremation", {"death_certificate_no": "H", "person_id": "wang", "died_on": "2026-02-01"})
    bench.load(
        "amr/enterprise",
        registered(FIRM, "六安甲有限公司", entity_type="1100", county_code=COUNTY, domicile="梅山路",
                   registration_number="341502000000011", paid_capital=30.0),
        registered(BRANCH, "乙分公司", entity_type="2100", county_code=COUNTY, superior_uscc=FIRM,
                   entity_status="2", status_date="2026-01-06", approval_date="2026-01-03",
                   legal_representative="李肆", legal_representative_person_id="li"),
        registered(SHELL, "戊有限公司", entity_type="1100", county_code=OTHER),
    )  # fmt: skip
    bench.load(
        "amr/enterprise_change",
        renamed(1, "六安丙有限公司", "2015-01-01"),
        renamed(2, "六安丁有限公司", "2012-01-01"),
        renamed(3, "梅山南路", "2016-01-01", alteration_item="住所变更"),
    )
    bench.load(
        "cab/social_organisation",
        # This code stands in two registers: market regulation is believed, and what belongs together stays together.
        registered(FIRM, "六安甲协会", entity_class="51", county_code=OTHER, legal_representative="李四",
                   entity_status="3", status_date="2020-01-01", legal_representative_person_id="li",
                   registered_capital=3.0),
        registered(SOCIAL, "旧名幼儿园", entity_class="52", source_updated_at="2019-01-01 00:00:00+00"),
        registered(SOCIAL, "阳光幼儿园", subject_no="N-newer", entity_class="52", county_code=OTHER,
                   entity_status="3", status_date="2024-05-06", legal_representative="王五",
                   legal_representative_person_id="wang"),
    )  # fmt: skip
    bench.load(
        "sto/institution",
        registered(SCHOOL, "木厂中心小学", entity_class="12", county_code=COUNTY, tenet="教育", headcount=30,
                   legal_representative_person_id=None),
    )  # fmt: skip
    bench.load(
        "ara/collective",
        registered(VILLAGE, "莲花村股份经济合作社", entity_class="N2", division_code=f"{OTHER}100201",
                   legal_representative_person_id="nobody"),
    )  # fmt: skip
    bench.load(
        "txb/taxpayer",
        declared(1, FIRM, "六安甲有限公司", "2025-12-01", tax_credit_level="B"),
        declared(2, FIRM, "六安甲公司", "2026-01-05"),
        declared(3, VILLAGE, "莲花村股份经济合作社", "2026-01-05", taxpayer_status="2"),
        declared(4, LAWYERS, "皖西律师事务所", "2026-01-05"),
        declared(5, SOCIAL, "阳光幼儿园", "2026-01-05"),
        declared(6, SCHOOL, "木厂中心小学", "2026-01-05", taxpayer_status="3"),
        declared(7, BRANCH, "乙分公司", "2026-01-05"),
    )
    bench.load("drc/permit", decided("X1", "2026-01-03", subject_name="乙分店"))
    bench.load("drc/penalty", decided("C1", "2026-01-04"))
    holders = ("11340000003104", "N2340000003104", FIRM, "91341502MA2N99999X", "91340100MA2N99999X", SOCIAL, SHELL)
    bench.load(
        "amr/shareholder",
        *(
            {"investment_no": code, "subject_no": f"N-{FIRM}", "shareholder_uscc": code, "share_ratio": 1.0}
            for code in holders
        ),
    )
    bench.build("lib_geography__division", "lib_population__person", *MODELS)
    yield bench


@pytest.mark.long
def test_every_register_and_the_tax_bureau_bring_their_entities(bench: Bench) -> None:
    columns = "uscc, entity_class, register_source, entity_name, county_name, entity_status"
    assert bench.rows(ENTITY, columns) == sorted([
        (FIRM, "91", "amr/enterprise", "六安甲有限公司", "金安区", "1"),
        (BRANCH, "91", "amr/enterprise", "乙分公司", "金安区", "2"),
        (SHELL, "91", "amr/enterprise", "戊有限公司", "裕安区", "1"),
        (SOCIAL, "52", "cab/social_organisation", "阳光幼儿园", "裕安区", "3"),
        (SCHOOL, "12", "sto/institution", "木厂中心小学", "金安区", "1"),
        (VILLAGE, "N2", "ara/collective", "莲花村股份经济合作社", "裕安区", "1"),
        (LAWYERS, "31", None, "皖西律师事务所", None, None),
    ])  # fmt: skip


def test_what_belongs_together_comes_from_one_register(bench: Bench) -> None:
    """Capital only civil affairs tell of; the day of an end that the other register does not know is left out."""
    columns = "entity_status, status_date, legal_representative, legal_representative_person_id, registered_capital"
    assert bench.rows(ENTITY, columns, f"uscc = '{FIRM}'") == [("1", None, "张三", "zhang", 3.0)]
    ((sources, rows),) = bench.rows(ENTITY, "attr_source, source_rows", f"uscc = '{FIRM}'")
    assert json.loads(sources)["registered_capital"] == "cab/social_organisation"
    assert json.loads(sources)["entity_name"] == "amr/enterprise"
    assert json.loads(rows) == {"amr/enterprise": "1:0", "cab/social_organisation": "1:0", "txb/taxpayer": "1:1"}


def test_the_ended_are_kept_with_the_day_of_their_end_and_the_latest_entry_counts(bench: Bench) -> None:
    assert bench.rows(ENTITY, "subject_no, status_date", f"uscc = '{SOCIAL}'") == [("N-newer", date(2024, 5, 6))]


def test_branches_name_the_company_they_belong_to(bench: Bench) -> None:
    assert bench.rows(ENTITY, "uscc, sub_of", "sub_of is not null") == [(BRANCH, FIRM)]


def test_the_register_says_the_old_number_and_what_was_paid_in(bench: Bench) -> None:
    columns = "uscc, registration_number, paid_capital, revocation_reason"
    assert bench.rows(ENTITY, columns, "paid_capital is not null") == [(FIRM, "341502000000011", 30.0, None)]


def test_what_only_one_office_knows_is_there(bench: Bench) -> None:
    assert bench.rows(ENTITY, "headcount, business_scope", f"uscc = '{SCHOOL}'") == [(30, "教育")]
    found = bench.rows(ENTITY, "uscc, taxpayer_status, tax_credit_level", "taxpayer_status is not null")
    assert found == sorted([
        (FIRM, "1", "A"), (VILLAGE, "2", "A"), (LAWYERS, "1", "A"), (SOCIAL, "1", "A"), (SCHOOL, "3", "A"),
        (BRANCH, "1", "A"),
    ])  # fmt: skip


def test_offices_that_say_otherwise_are_told(bench: Bench) -> None:
    """The tax bureau does not know that the kindergarten ended, and closed the school that goes on. What it said of the
    branch before that was revoked was right then, as was the permit of the day on which it was altered last; not the
    penalty after it. 非正常 of the village is no word on its registration."""
    columns = "uscc, conflict_field, value_kept, value_other, source_kept, source_other"
    assert bench.rows("lib_legal_entity__conflict", columns) == [
        (SCHOOL, "entity_status", "1", "3", "sto/institution", "txb/taxpayer"),
        (SOCIAL, "entity_status", "3", "1", "cab/social_organisation", "txb/taxpayer"),
        (BRANCH, "legal_representative", "李肆", "张三", "amr/enterprise", "drc/penalty"),
        (FIRM, "entity_name", "六安甲有限公司", "六安甲公司", "amr/enterprise", "txb/taxpayer"),
        (FIRM, "entity_name", "六安甲有限公司", "六安甲协会", "amr/enterprise", "cab/social_organisation"),
        (FIRM, "entity_status", "1", "3", "amr/enterprise", "cab/social_organisation"),
        (FIRM, "legal_representative", "张三", "李四", "amr/enterprise", "cab/social_organisation"),
    ]
    assert bench.rows("lib_legal_entity__conflict_count", "sum(conflicts), count(*)") == [(7, 7)]


def test_what_a_walk_along_shares_meets_is_told_by_code_and_type(bench: Bench) -> None:
    """State bodies and collectives of elsewhere too; a company of the city without known shareholders, or whose own row
    never came, is no end of which anything is known."""
    found = dict(bench.rows("lib_legal_entity__shareholder", "shareholder_uscc, holder_kind"))
    assert found == {
        "11340000003104": "state", "N2340000003104": "collective", FIRM: "company", SHELL: "undisclosed",
        "91341502MA2N99999X": "undisclosed", "91340100MA2N99999X": "outside", SOCIAL: "entity",
    }  # fmt: skip


def test_former_names_follow_each_other(bench: Bench) -> None:
    assert bench.rows("lib_legal_entity__former_name", "name_no, entity_name, name_from, name_to") == [
        (1, "六安丁有限公司", date(2010, 1, 1), date(2012, 1, 1)),
        (2, "六安丙有限公司", date(2012, 1, 1), date(2015, 1, 1)),
    ]


def test_heads_are_found_by_their_number_alone(bench: Bench) -> None:
    """Who is known to the tax bureau alone has none on a register and is not counted."""
    assert dict(bench.rows(LINK, "uscc, representative_link")) == {
        FIRM: "linked", BRANCH: "name_differs", SOCIAL: "deceased", SCHOOL: "no_number", VILLAGE: "not_in_library",
        SHELL: "linked",
    }  # fmt: skip
    counted = bench.rows(f"{LINK}_count", "register_source, entity_class, representative_link, entities")
    assert ("amr/enterprise", "91", "linked", 2) in counted and sum(row[-1] for row in counted) == 6


def test_classes_are_the_first_two_characters_that_the_standard_knows(contracts: Contracts) -> None:
    codes = contracts.codes["entity_class"].rows
    signs = "0123456789ABCDEFGHJKLMNPQRTUWXY"
    con = connection()
    for first in signs:
        for second in signs:
            query = f"SELECT {gb32100.well_formed(repr(first + second + '341502MA2N123440'))}"
            assert con.execute(query).fetchone() == (first + second in codes,), first + second
