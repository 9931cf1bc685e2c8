"""Two families, of which two people are registered under one number: no row of any library makes one of them.

Departments write that number for both, so whatever is joined, grouped or summed by persons would meet there.
"""

import random
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from pipelines.contracts.load import Contracts
from pipelines.linkage import tables
from pipelines.linkage.bearers import BEARER, SHARED
from pipelines.register import Register
from simulator.identity import identity_number
from tests.city import seed_from_clock
from tests.dbt.libraries import new_bench
from tests.linkage.test_step import BIRTH, HOME, NUMBER, REGISTER, Desk

CLAIM = "number"
"""What the number that both have becomes."""
FAMILIES = ("a", "b")
NAMES = {"a": "李国华", "b": "赵德明"}
HOMES = {"a": HOME, "b": "安徽省六安市金安区东市街道解放路9号"}
UPDATED = "2026-01-01 00:00:00+00"
MODELS = [
    "lib_geography__division",
    *(f"lib_population__{name}" for name in ("person", "relation", "person_tag", "household", "conflict")),
    *(f"lib_legal_entity__{name}" for name in ("entity", "shareholder", "stake", "control", "representative")),
    *(f"lib_credit__{name}" for name in ("penalty", "permit", "listing")),
    "lib_e_licence__licence",
    "mart_gov_service__case",
]
WOMAN = identity_number("342401", BIRTH, "2", 4)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory, contracts: Contracts) -> Iterator[Desk]:
    seed = seed_from_clock()
    print(f"seed {seed} (repeat with CITYLAKE_TEST_SEED)")
    folder: Path = tmp_path_factory.mktemp("strangers")
    register = Register(f"sqlite:///{folder / 'register.db'}")
    register.upgrade()
    desk = Desk(new_bench(folder, contracts), register)
    dice = random.Random(seed)
    keeper = dice.choice(FAMILIES)
    told(desk, dice, keeper)
    desk.bench.complete()
    desk.link()
    assert [key for key, why in desk.rows(tables.LINK, "row_key, why") if why == BEARER] == [f"{keeper}02"]
    desk.bench.build(*MODELS)
    yield desk
    register.close()


def told(desk: Desk, dice: random.Random, keeper: str) -> None:
    """What the departments say of both families."""
    divisions = (("341502", "金安区", "county"), ("341502001", "东市街道", "town"))
    names = ("code", "division_name", "division_level")
    desk.bench.load("dsrb/division", *(dict(zip(names, one, strict=True)) for one in divisions))
    deliver(desk, [row for family in FAMILIES for row in of_family(family)], dice, keeper)


def deliver(desk: Desk, rows: Iterable[tuple[str, Mapping[str, Any]]], dice: random.Random, keeper: str) -> None:
    """Rows of datasets, in any order. The keeper of the number is whom of the two the register knew first."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for dataset, row in rows:
        found.setdefault(dataset, []).append(row)
    for dataset, said in found.items():
        dice.shuffle(said)
        later = [row for row in said if dataset == REGISTER and not row["record_no"].startswith(keeper)]
        desk.bench.load(dataset, *(row for row in said if row not in later), batch=1)
        if later:
            desk.bench.load(dataset, *later, batch=2)


def of_family(family: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """A man under the number, his wife, their child, his firm, and what else is known of him."""
    place = {"division_code": "341502001001", "address": HOMES[family], "household_no": f"H-{family}"}
    man, wife, child = {"person_id": CLAIM}, {"person_id": f"wife-{family}"}, {"person_id": f"child-{family}"}
    for who, name, sex, born, relation in (
        (man | {"id_number": NUMBER}, NAMES[family], "1", BIRTH.isoformat(), "02"),
        (wife | {"id_number": WOMAN}, f"王{family}", "2", "1986-01-01", "10"),
        (child | {"id_number": f"child-{family}"}, f"小{family}", "1", "2020-05-05", "20"),
    ):
        record = {"record_no": f"{family}{relation}", "name": name, "sex": sex, "birth_date": born}
        yield REGISTER, {**place, **record, **who, "household_relation": relation, "source_updated_at": UPDATED}
    yield "cab/marriage", {
        "marriage_registration_no": f"M-{family}", "marriage_registration_type": "1", "male_person_id": CLAIM,
        "female_person_id": wife["person_id"], "registered_on": "2010-01-01", "source_updated_at": UPDATED,
    }  # fmt: skip
    yield "hc/birth_certificate", {
        "birth_certificate_no": f"B-{family}", "name": f"小{family}", "sex": "1", "born_at": "2020-05-05 04:00:00+00",
        "mother_person_id": wife["person_id"], "father_person_id": CLAIM,
    }  # fmt: skip
    firm = {"subject_no": f"N-{family}", "source_updated_at": UPDATED}
    yield "amr/enterprise", {
        **firm, "uscc": f"9134150000000000{family}", "entity_name": f"{family}有限公司", "entity_type": "1130",
        "entity_status": "1", "legal_representative": NAMES[family], "legal_representative_person_id": CLAIM,
    }  # fmt: skip
    yield "amr/shareholder", {
        **firm, "investment_no": f"V-{family}", "shareholder_name": NAMES[family], "share_ratio": 100.0,
        "shareholder_person_id": CLAIM,
    }  # fmt: skip
    decision = {"credit_record_no": f"X-{family}", "subject_person_id": CLAIM, "representative_person_id": CLAIM}
    yield "drc/penalty", decision
    yield "drc/permit", decision
    yield "drc/credit_list", {"list_record_no": f"L-{family}", "subject_person_id": CLAIM}
    yield "dsrb/e_licence", {
        "licence_identifier": f"E-{family}", "change_no": ord(family), "licence_type": "T", "licence_no": NUMBER,
        "holder_type": "1", "holder_name": NAMES[family], "holder_code": NUMBER, "holder_id": CLAIM,
        "licence_status": "1", "issued_on": "2020-01-01",
    }  # fmt: skip
    yield "dsrb/service_case", {"case_no": f"G-{family}", "applicant_type": "1", "applicant_id": CLAIM}
    yield "hrssb/insurance", {
        "insurance_no": f"I-{family}", "insurance_type": "1", "person_id": CLAIM, "name": NAMES[family],
        "insured_status": "1", "mobile": f"1390000000{ord(family) % 10}",
    }  # fmt: skip
    if family == "b":
        yield "cab/cremation", {"death_certificate_no": "D", "person_id": CLAIM, "died_on": "2026-05-01"}


@pytest.fixture(scope="module")
def men(desk: Desk) -> dict[str, str]:
    """The id of the man of each family."""
    people = desk.bench.rows("lib_population__person", "name, person_id", f"name IN {tuple(NAMES.values())}")
    assert len({person for _, person in people}) == len(people) == 2
    return {family: dict(people)[NAMES[family]] for family in FAMILIES}


@pytest.mark.long
def test_both_are_told_apart_and_the_number_is_nobodys(desk: Desk, men: Mapping[str, str]) -> None:
    assert {why for (why,) in desk.rows(tables.LINK, "why")} == {SHARED, BEARER}
    assert (CLAIM, None) in desk.rows(tables.ALIAS)
    assert len({*men.values()}) == 2


@pytest.mark.long
def test_no_id_of_a_person_stands_in_rows_of_both_families(desk: Desk, contracts: Contracts) -> None:
    """And no row that rests on the number alone says whom it is about."""
    of: dict[str, set[str]] = {}
    for model in MODELS:
        contract = contracts.models[model]
        texts = ", ".join(f"CAST({column.name} AS VARCHAR)" for column in contract.columns)
        persons = [i for i, column in enumerate(contract.columns) if column.definition.personal == "person"]
        for row in desk.bench.rows(model, texts):
            families = {family for family in FAMILIES if is_of(family, row)}
            assert families != set(FAMILIES), (model, row)
            for person in {row[place] for place in persons} - {None}:
                of.setdefault(person, set()).update(families)
    assert {person for person, families in of.items() if len(families) > 1} == set()
    rest = ("lib_credit__penalty", "lib_credit__permit", "lib_credit__listing", "lib_legal_entity__shareholder")
    for model in (*rest, "lib_legal_entity__representative", "lib_e_licence__licence", "mart_gov_service__case"):
        names = [column.name for column in contracts.models[model].columns if column.definition.personal == "person"]
        listed = ", ".join(f"count({name})" for name in names)
        assert desk.bench.rows(model, f"count(*), {listed}") == [(2, *(0 for _ in names))], model


def is_of(family: str, row: tuple[str | None, ...]) -> bool:
    """Whether a row names something that only one family has."""
    marks = (f"-{family}", NAMES[family], f"小{family}", f"王{family}", f"9134150000000000{family}", HOMES[family])
    return any(mark in text for text in row if text is not None for mark in marks)


@pytest.mark.long
def test_relations_are_those_that_do_not_rest_on_the_number(desk: Desk, men: Mapping[str, str]) -> None:
    """Mothers of certificates, and fathers and husbands by whose register row each man is known."""
    found = desk.bench.rows("lib_population__relation", "person_id, related_person_id, person_relation")
    mothers = {(f"child-{family}", f"wife-{family}", "52") for family in FAMILIES}
    parents = mothers | {(f"child-{family}", men[family], "51") for family in FAMILIES}
    husbands = {(men[family], f"wife-{family}", "10") for family in FAMILIES}
    married = husbands | {(wife, man, "10") for man, wife, _ in husbands}
    assert {*found} == married | parents | {(parent, child, "20") for child, parent, _ in parents}


def test_a_death_under_the_number_is_nobodys(desk: Desk, men: Mapping[str, str]) -> None:
    found = desk.bench.rows("lib_population__person", "person_id, residence_status, marital_status, mobile")
    status = {person: known for person, *known in found}
    assert [status[man] for man in men.values()] == [["1", None, None]] * 2
    assert [status[f"wife-{family}"][1] for family in FAMILIES] == ["20", "20"], "no widow of the other's husband"
    assert desk.bench.rows("lib_population__person_tag", "count(*)") == [(0,)]


def test_each_firm_has_an_owner_of_its_own_whom_nobody_knows(desk: Desk) -> None:
    stakes = desk.bench.rows("lib_legal_entity__stake", "holder_kind, holder_key, total_share")
    assert stakes == [("unidentified", f"UV-{family}", 1.0) for family in FAMILIES]
    assert desk.bench.rows("lib_legal_entity__representative", "DISTINCT representative_link") == [("no_number",)]


def test_no_licence_of_the_one_ends_that_of_the_other(desk: Desk) -> None:
    assert desk.bench.rows("lib_e_licence__licence", "licence_identifier", "in_force") == [("E-a",), ("E-b",)]


def test_households_are_those_of_the_register(desk: Desk, men: Mapping[str, str]) -> None:
    found = desk.bench.rows("lib_population__household", "household_no, head_person_id, members, living_members")
    assert found == [(f"H-{family}", men[family], 3, 3) for family in FAMILIES]
