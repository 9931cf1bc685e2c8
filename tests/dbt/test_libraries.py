"""The libraries of legal entities, licences, credit and the macro-economy on a few rows, and authority that changes."""

import csv
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest
from libraries import AS_OF, PROJECT, Bench, new_bench

from pipelines.contracts.authority import order_on
from pipelines.contracts.dbt import generated
from pipelines.contracts.load import Contracts
from pipelines.contracts.resolved import Claim
from pipelines.contracts.rules.base import Context
from pipelines.evidence.rules import measure
from pipelines.lake.delta import open_table, scan
from pipelines.lake.models import Model
from pipelines.release.plan import model_inputs

COUNTY = "341502"
LIBRARIES = {
    "geography": ("division", "division_change", "division_history"),
    "legal_entity": ("entity", "alteration", "conflict", "conflict_count"),
    "e_licence": ("licence", "event", "period", "expiring"),
    "credit": (
        "permit",
        "penalty",
        "permit_public",
        "penalty_public",
        "listing",
        "listing_public",
        "repair",
        "commitment",
        "subject",
        "score_event",
        "score_part",
        "score",
    ),
    "macro": ("series", "observation", "benchmark", "growth"),
}
MARTS = ["mart_macro__observation_as_known", "mart_macro__comparison"]
MODELS = [f"lib_{library}__{name}" for library, names in LIBRARIES.items() for name in names]


def enterprise(uscc: str, **given: object) -> dict[str, object]:
    return {
        "subject_no": f"N-{uscc}", "uscc": uscc, "entity_name": f"六安{uscc}（集团）有限公司", "entity_type": "1100",
        "entity_status": "1", "county_code": COUNTY, "legal_representative": "张三", "established_on": "2010-01-01",
        "legal_representative_person_id": "zhang", "source_updated_at": "2026-01-01 00:00:00+00", **given,
    }  # fmt: skip


def decision(number: str, uscc: str | None, day: str, **given: object) -> dict[str, object]:
    return {
        "credit_record_no": number, "uscc": uscc, "subject_name": f"六安{uscc}(集团)有限公司", "subject_category": "1",
        "decided_on": day, "document_status": "1", "source_updated_at": f"{day} 00:00:00+00", **given,
    }  # fmt: skip


def repair(
    number: str,
    target: str,
    record: str,
    result: str,
    withdrawn: object = None,
    uscc: str | None = "C",
    **given: object,
) -> dict[str, object]:
    return {
        "repair_no": number, "repair_target": target, "repaired_record_no": record, "repair_result": result,
        "withdrawn_on": withdrawn, "uscc": uscc, "applied_on": "2026-08-01", **given,
    }  # fmt: skip


def entry(number: str, kind: str, uscc: str | None, **given: object) -> dict[str, object]:
    return {
        "list_record_no": number, "list_type": kind, "uscc": uscc, "subject_name": f"名称{uscc}",
        "subject_category": "1", "listed_on": "2026-01-05", **given,
    }  # fmt: skip


def commitment(number: int, uscc: str, status: str, checked: str | None = None) -> dict[str, object]:
    return {"commitment_no": f"K{number}", "uscc": uscc, "commitment_status": status, "checked_on": checked}


def weights() -> Iterator[dict[str, str]]:
    with (PROJECT.parent / "data_contracts/reference/credit_weights.csv").open(encoding="utf-8") as file:
        yield from csv.DictReader(file)


def licence(number: int, **given: object) -> dict[str, object]:
    return {
        "licence_identifier": f"L{number}", "change_no": number, "operation": "I", "licence_type": "T",
        "licence_no": "1", "holder_type": "2", "holder_name": f"证照名称{number}", "holder_code": f"X{number}",
        "holder_id": f"hash{number}",
        "issued_on": "2020-01-01", "licence_status": "1", **given,
    }  # fmt: skip


def licence_change(
    number: int, identifier: str, day: str, operation: str, status: str, **given: object
) -> dict[str, object]:
    return {
        "change_no": number, "licence_identifier": identifier, "operation": operation, "licence_status": status,
        "handled_at": f"{day} 23:30:00+00", "issued_on": "2020-01-01", **given,
    }  # fmt: skip


def benchmark(area: str, period: str, value: float) -> dict[str, object]:
    return {
        "series_code": "cpi", "area_code": area, "period": period, "revision_no": 0, "series_value": value,
        "published_at": "2026-10-09 01:30:00+00", "data_note": "模拟数据",
    }  # fmt: skip


def figure(period: str, revision: int, day: str, value: float, yoy: float | None = None) -> dict[str, object]:
    return {
        "series_code": "gdp", "area_code": "341500", "period": period, "revision_no": revision, "series_value": value,
        "published_at": f"{day} 01:30:00+00", "yoy": yoy,
    }  # fmt: skip


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, contracts: Contracts) -> Iterator[Bench]:
    bench = new_bench(tmp_path_factory.mktemp("libraries"), contracts)
    bench.load("dsrb/division", {"code": COUNTY, "division_name": "金安区", "division_level": "county"})
    bench.load(
        "amr/enterprise",
        enterprise("A", subject_no="N-1", entity_name="旧名", source_updated_at="2020-01-01 00:00:00+00"),
        enterprise("A", subject_no="N-2", approval_date="2025-12-31"),
        enterprise("B", entity_type="9500"),
        enterprise("C"),
        enterprise("92D", entity_name="金安区张三小吃店", entity_type="9500"),
        enterprise("92E", entity_name="金安区李四小吃店", entity_type="9500"),
        enterprise("92F", entity_name="金安区王记小吃店", entity_type="9500"),
        enterprise("92G", entity_name="金安区好记小吃店", entity_type="9500", legal_representative=None),
        enterprise("91H", entity_name="六安张三有限公司"),
    )
    social = enterprise("51S")
    del social["entity_type"]
    bench.load("cab/social_organisation", social)
    bench.load(
        "amr/enterprise_change",
        {"alteration_no": "V1", "subject_no": "N-1", "altered_on": "2021-01-01"},
        {"alteration_no": "V2", "subject_no": "gone", "altered_on": "2021-01-01"},
        *(
            {
                "alteration_no": f"V{n}",
                "subject_no": f"N-{of}",
                "altered_on": "2021-01-01",
                "value_before": "李四",
                "alteration_item": "法定代表人变更",
            }
            for n, of in ((3, "92E"), (4, "92F"))
        ),
    )
    bench.load(
        "drc/permit",
        decision("P1", "A", "2025-01-01", legal_representative="张三"),
        decision("P2", "A", "2026-01-01", legal_representative="李四"),
        decision("P3", "A", "2026-06-01", document_status="2", legal_representative="王五"),
        decision("P4", "unknown", "2026-01-01"),
        decision("P5", None, "2026-01-01", subject_category="2", subject_person_id="zhang"),
        decision("P6", "B", "2026-01-01", subject_category="3"),
        decision("P7", "B", "2026-01-02"),
    )
    bench.load(
        "drc/penalty",
        decision("F1", "A", "2026-02-01", publicity_end="2026-10-31", legal_representative="张三"),
        decision("F2", "A", "2026-01-01", publicity_end=AS_OF.isoformat()),
        decision("F3", "C", "2026-01-01", penalty_category="2", fine_amount=0.4),
        decision("F4", None, "2026-01-01", subject_category="2", subject_person_id="li"),
        decision("F9", "A", "2023-10-31", penalty_category="1"),
        decision("F0", None, "2024-02-29", penalty_category="1", subject_category="2", subject_person_id="li"),
    )
    bench.load(
        "drc/penalty",
        # a warning with a fine of much, of unknown amount, of little; a fine with an order to close; a confiscation of
        # little, of much, of unknown amount, and of what is little beside the fine but not with it
        *(
            decision(
                f"G{n}", "91H", "2026-01-05", subject_name="六安张三有限公司",
                penalty_category=one, penalty_category_2=other, fine_amount=fine, confiscated_amount=taken,
            )
            for n, one, other, fine, taken in (
                (1, "1", "2", 50, None), (2, "1", "2", None, None), (3, "1", "2", 0.4, None), (4, "2", "4", 0.4, None),
                (5, "1", None, None, None), (6, "2", None, None, 0.4), (7, "2", None, None, 2.6),
                (8, "2", None, None, None), (9, "2", None, 0.3, 0.2),
            )
        ),
        batch=3,
    )  # fmt: skip
    bench.load("drc/penalty_publicity", *({"penalty_category": kind, "publicity_years": 3} for kind in "123"))
    bench.load(
        "drc/penalty",
        decision("F5", "C", "2026-03-01", penalty_category="2", fine_amount=0.5),
        decision("F6", "C", "2026-03-02", publicity_end="2027-03-02"),
        decision("F7", "C", "2026-03-03", publicity_end="2026-11-30"),
        decision("F8", "C", "2026-03-04", penalty_category="3"),
        batch=2,
    )
    yesterday, tomorrow = (AS_OF + timedelta(days=days) for days in (-1, 1))
    bench.load(
        "drc/credit_repair",
        repair("R1", "1", "F5", "1", AS_OF),
        repair("R2", "1", "F6", "1", tomorrow),
        repair("R3", "1", "F7", "2"),
        repair("R4", "1", "F8", "4"),
        repair("R5", "2", "M2", "1", yesterday),
        repair("R6", "2", "F8", "1", yesterday),
        repair("R7", "1", "F6", "1", "2027-12-31"),
        # of another firm: the publicity of C stays as it is
        repair("R8", "1", "F8", "1", yesterday, uscc="A"),
        repair("R9", "2", "M1", "1", yesterday, uscc="A"),
        # of natural persons: the person's own record, and one of somebody else
        *(
            repair(number, target, record, "1", AS_OF, uscc=None, subject_category="2", subject_person_id=person)
            for number, target, record, person in (
                ("S1", "1", "F4", "li"),
                ("S2", "2", "M5", "li"),
                ("S3", "1", "F0", "zhang"),
            )
        ),
    )
    bench.load(
        "drc/credit_list",
        entry("M1", "3", "C"),
        entry("M2", "1", "C"),
        entry("M3", "4", "C", delisted_on=AS_OF),
        entry("M4", "5", "C", delisted_on=tomorrow),
        entry("M5", "2", None, subject_category="2", subject_person_id="li"),
        entry("M6", "9", "B", subject_category="3"),
        entry("M7", "9", "A"),
    )
    bench.load(
        "drc/credit_commitment",
        *(
            {"commitment_no": f"K{n}", "uscc": "A", "commitment_status": "1", "checked_on": "2026-06-01"}
            for n in range(7)
        ),
        {"commitment_no": "K7", "uscc": "A", "commitment_status": "1", "checked_on": "2023-11-01"},
        {"commitment_no": "K8", "uscc": "C", "commitment_status": "2", "checked_on": "2023-11-02"},
        {"commitment_no": "K9", "uscc": "C", "commitment_status": "3"},
    )
    bench.load("drc/credit_weight", *weights())
    bench.load(
        "drc/credit_grade",
        *({"credit_grade": g, "points_minimum": m} for g, m in zip("ABCD", (850, 700, 550, 0), strict=True)),
    )
    bench.load(
        "dsrb/e_licence",
        licence(1, holder_type="1", holder_code="110101198503070022", holder_id="zhang"),
        licence(2, valid_from=AS_OF, valid_to=AS_OF),
        licence(3, valid_to=yesterday),
        licence(4, valid_from=tomorrow),
        licence(5, licence_status="3"),
        licence(6, holder_code="A", holder_name="另一名称", issued_on="2019-01-01"),
        licence(7, holder_code="A", holder_name="六安A（集团）有限公司", issued_on="2021-01-01"),
        licence(8, holder_code="A", issued_on="2022-01-01", valid_to=yesterday),
        licence(9, licence_type="K", valid_to=AS_OF + timedelta(days=60)),
        licence(10, licence_type="K", valid_to=AS_OF + timedelta(days=61)),
        licence(11, licence_type="K", valid_to=AS_OF),
        licence(12, licence_type="K", valid_to=AS_OF, licence_status="7"),
        # with a new number: of one type a holder has only one, of the other one for each number
        licence(13, licence_type="ONE", holder_code="H", licence_no="old", issued_on="2020-05-01"),
        licence(
            14, licence_type="ONE", holder_code="H", licence_no="new", issued_on="2022-05-01", valid_from="2022-06-01"
        ),
        licence(15, licence_type="SITE", holder_code="H", licence_no="east"),
        licence(16, licence_type="SITE", holder_code="H", licence_no="west"),
        # replaced while it was good, and over since; renewed when it was over
        licence(17, licence_type="ONE", holder_code="I", issued_on="2018-01-01", valid_to=yesterday),
        licence(18, licence_type="ONE", holder_code="I", issued_on="2018-04-18"),
        licence(19, licence_type="ONE", holder_code="J", issued_on="2018-01-01", valid_to="2019-12-31"),
        licence(20, licence_type="ONE", holder_code="J", issued_on="2019-12-01", valid_from="2020-01-01"),
    )
    bench.load(
        "dsrb/e_licence_change",
        licence_change(1, "L1", "2020-01-31", "I", "1"),
        licence_change(3, "L1", "2020-03-01", "U", "7"),
        licence_change(4, "L1", "2020-03-02", "U", "1"),
        licence_change(6, "L1", "2021-01-01", "U", "1", valid_to="2030-01-01", issued_on="2021-01-01"),
        licence_change(2, "L2", "2020-01-31", "I", "1", associated_licence="L0"),
        licence_change(5, "L2", "2020-05-01", "U", "3"),
        licence_change(7, "L2", "2022-01-01", "U", "1"),
        licence_change(8, "gone", "2022-01-01", "I", "1"),
        licence_change(9, "gone", "2022-01-02", "D", "3"),
        licence_change(10, "L6", "2019-01-01", "I", "1"),
        licence_change(11, "L13", "2020-05-01", "I", "1"),
    )
    bench.load("dsrb/licence_expiry", {"licence_type": "K", "warn_days": 60})
    bench.load(
        "dsrb/licence_type",
        {"licence_type": "ONE", "licence_name": "一份", "one_per_holder": "1"},
        {"licence_type": "SITE", "licence_name": "每处一份", "one_per_holder": "0"},
    )
    bench.load(
        "sb/macro_series",
        {"series_code": "gdp", "series_name": "地区生产总值", "frequency": "Y", "growth_basis": "nominal"},
        {"series_code": "cpi", "series_name": "居民消费价格指数", "frequency": "M", "series_kind": "index"},
    )
    bench.load(
        "sb/macro_observation",
        {**figure("2024", 0, "2025-01-25", 2000.0), "figure_stage": "preliminary"},
        figure("2024", 1, "2025-12-28", 2010.5),
        figure("2025", 0, "2026-01-25", 2100.0, yoy=4.5),
        figure("2025", 1, "2026-10-30", 2110.0, yoy=4.6),
        figure("2025", 2, AS_OF.isoformat(), 2120.0, yoy=5.4),
        {**figure("2026-09", 0, "2026-10-09", 101.5), "series_code": "cpi"},
    )
    bench.load(
        "sb/macro_benchmark",
        benchmark("340000", "2026-09", 100.25),
        benchmark("000000", "2026-09", 100.5),
        benchmark("340000", "2026-10", 100.75),
        {**benchmark("340000", "2026-09", 999.0), "revision_no": 1, "published_at": f"{AS_OF} 01:30:00+00"},
    )
    bench.build(*MODELS, *MARTS)
    yield bench


@pytest.mark.long
def test_one_code_is_one_entity_the_latest_registration(bench: Bench) -> None:
    columns = "uscc, subject_no, entity_name, county_name, legal_representative_person_id"
    assert bench.rows("lib_legal_entity__entity", columns, "length(uscc) = 1") == [
        ("A", "N-2", "六安A（集团）有限公司", "金安区", "zhang"),
        ("B", "N-B", "六安B（集团）有限公司", "金安区", "zhang"),
        ("C", "N-C", "六安C（集团）有限公司", "金安区", "zhang"),
    ]
    ((sources, rows),) = bench.rows("lib_legal_entity__entity", "attr_source, source_rows", "uscc = 'A'")
    said = (
        "entity_name",
        "legal_representative",
        "entity_status",
        "county_code",
        "established_on",
        "source_updated_at",
    )
    assert json.loads(sources) == dict.fromkeys(said, "amr/enterprise")
    assert json.loads(rows) == {
        "amr/enterprise": "1:1", "dsrb/e_licence": "1:7", "drc/permit": "1:1", "drc/penalty": "1:0",
    }  # fmt: skip


@pytest.mark.long
def test_what_licences_and_decisions_say_otherwise_is_kept(bench: Bench) -> None:
    """The latest valid one of each counts, brackets of either width are the same name, and both values stay."""
    columns = "uscc, conflict_field, value_kept, value_other, source_kept, source_other"
    assert bench.rows("lib_legal_entity__conflict", columns) == [
        ("A", "entity_name", "六安A（集团）有限公司", "证照名称8", "amr/enterprise", "dsrb/e_licence"),
        ("A", "legal_representative", "张三", "李四", "amr/enterprise", "drc/permit"),
    ]
    assert bench.rows("lib_legal_entity__conflict_count", "sum(conflicts)") == [(2,)]


@pytest.mark.long
def test_a_sole_trader_is_not_public_under_a_name_that_holds_that_of_a_head(bench: Bench) -> None:
    """Of now or of before; one who is unknown cannot be looked for. The name of a company is public in any case."""
    found = bench.rows("lib_legal_entity__entity", "uscc, public_name", "uscc in ('92D', '92E', '92F', '92G', '91H')")
    assert found == [
        ("91H", "六安张三有限公司"), ("92D", None), ("92E", None), ("92F", "金安区王记小吃店"), ("92G", None),
    ]  # fmt: skip


def test_alterations_have_the_code_of_their_entity_if_it_is_registered(bench: Bench) -> None:
    assert bench.rows("lib_legal_entity__alteration", "alteration_no, uscc") == [
        ("V1", "A"), ("V2", None), ("V3", "92E"), ("V4", "92F"),
    ]  # fmt: skip


def test_a_licence_is_in_force_by_status_and_days_and_if_no_newer_one_is(bench: Bench) -> None:
    columns = "licence_identifier, superseded, in_force"
    found = {row[0]: row[1:] for row in bench.rows("lib_e_licence__licence", columns)}
    assert found == {
        **dict.fromkeys(("L1", "L2", "L7", "L9", "L10", "L11", "L14", "L15", "L16", "L18", "L20"), (False, True)),
        **dict.fromkeys(("L3", "L4", "L5", "L8", "L12", "L17", "L19"), (False, False)),
        **dict.fromkeys(("L6", "L13"), (True, False)),
    }
    replaced = bench.rows(
        "lib_e_licence__licence", "licence_identifier, superseded_since", "superseded_since is not null"
    )
    assert replaced == [("L13", date(2022, 6, 1)), ("L17", date(2018, 4, 18)), ("L6", date(2021, 1, 1))]
    holders = bench.rows(
        "lib_e_licence__licence", "holder_person_id, holder_uscc", "licence_identifier in ('L1', 'L6')"
    )
    assert holders == [("zhang", None), (None, "A")]
    numbers = bench.rows(
        "lib_e_licence__licence", "holder_type, entity_licence_no", "licence_identifier in ('L1', 'L6')"
    )
    assert numbers == [("1", None), ("2", "1")]  # the number of a person's card may be the identity number


def test_the_life_of_a_licence_is_told_change_by_change(bench: Bench) -> None:
    columns = "change_no, licence_event, status_before, since_day, until_day, after_end"
    # half past eleven at night in London is the next day in the city
    days = {n: date(*d) for n, d in ((1, (2020, 2, 1)), (3, (2020, 3, 2)), (4, (2020, 3, 3)), (6, (2021, 1, 2)))}
    assert bench.rows("lib_e_licence__event", columns, "licence_identifier = 'L1'") == [
        (1, "issued", None, days[1], days[3], False),
        (3, "suspended", "1", days[3], days[4], False),
        (4, "resumed", "7", days[4], days[6], False),
        (6, "changed", "1", days[6], None, False),
    ]
    assert bench.rows("lib_e_licence__event", "licence_event, after_end", "licence_identifier in ('L2', 'gone')") == [
        ("cancelled", False), ("changed", True), ("deleted", False), ("issued", False), ("renewed", False),
    ]  # fmt: skip
    issued = dict(bench.rows("lib_e_licence__period", "change_no, issued_on", "licence_identifier = 'L1'"))
    assert issued == {**dict.fromkeys((1, 3, 4), date(2020, 1, 1)), 6: date(2021, 1, 1)}
    replaced = bench.rows(
        "lib_e_licence__period", "licence_identifier, superseded_since", "superseded_since is not null"
    )
    assert replaced == [("L13", date(2022, 6, 1)), ("L6", date(2021, 1, 1))], (
        "what the library says of a licence replaced"
    )
    others = "superseded_since is null"
    periods = bench.rows("lib_e_licence__period", "licence_identifier, change_no, holder_name", others)
    assert periods == [("L1", n, "证照名称1") for n in (1, 3, 4, 6)] + [("L2", n, "证照名称2") for n in (2, 5, 7)]


def test_what_ends_within_the_days_of_notice_of_its_type_is_told(bench: Bench) -> None:
    assert bench.rows("lib_e_licence__expiring", "licence_identifier, days_left") == [("L11", 0), ("L9", 60)]


def test_permits_and_penalties_know_whether_their_entity_is_registered(bench: Bench) -> None:
    assert bench.rows("lib_credit__permit", "credit_record_no, entity_known") == [
        ("P1", True), ("P2", True), ("P3", True), ("P4", False), ("P5", None), ("P6", True), ("P7", True),
    ]  # fmt: skip


def test_the_public_sees_valid_decisions_about_legal_persons_only(bench: Bench) -> None:
    assert [row[0] for row in bench.rows("lib_credit__permit_public", "credit_record_no")] == ["P1", "P2"]
    # F1 is past its time of publicity, F5 is repaired from today on, F6 from tomorrow on, F7 and F8 are not repaired
    assert bench.rows("lib_credit__penalty_public", "credit_record_no, public_until") == [
        ("F2", AS_OF), ("F3", date(2029, 1, 1)), ("F6", AS_OF), ("F7", date(2026, 11, 30)), ("F8", date(2029, 3, 4)),
        *((f"G{n}", date(2029, 1, 5)) for n in range(1, 10)),
    ]  # fmt: skip
    # an end that nobody told is that of the longest time of the kind; of F9 it was yesterday
    without = "credit_record_no in ('F0', 'F9')"
    assert bench.rows("lib_credit__penalty", "credit_record_no, public_until", without) == [
        ("F0", date(2027, 2, 28)), ("F9", AS_OF - timedelta(days=1)),
    ]  # fmt: skip
    # M2 was repaired, M3 is removed from today on
    assert [row[0] for row in bench.rows("lib_credit__listing_public", "list_record_no")] == ["M1", "M4", "M7"]
    assert bench.rows("lib_credit__penalty_public", "entity_name", "credit_record_no = 'F3'") == [
        ("六安C（集团）有限公司",)
    ]


def test_subjects_of_credit_are_counted_and_name_their_last_decisions(bench: Bench) -> None:
    columns = "uscc, entity_known, permits, penalties, last_permit_on, last_penalty_on, source_rows"
    assert bench.rows("lib_credit__subject", columns) == [
        ("91H", True, 0, 9, None, date(2026, 1, 5), '{"drc/penalty":"3:0","drc/penalty_publicity":"1:0"}'),
        ("A", True, 2, 1, date(2026, 1, 1), date(2026, 1, 1), '{"drc/permit":"1:1","drc/penalty":"1:1"}'),
        ("B", True, 2, 0, date(2026, 1, 2), None, '{"drc/permit":"1:6"}'),
        (
            "C",
            True,
            0,
            4,
            None,
            date(2026, 3, 4),
            '{"drc/penalty":"2:3","drc/penalty_publicity":"1:2"}',
        ),
        ("unknown", False, 1, 0, date(2026, 1, 1), None, '{"drc/permit":"1:3"}'),
    ]
    counted = f"document_status = '1' and uscc is not null and public_until >= date '{AS_OF}'"
    ends = sorted(bench.rows("lib_credit__penalty", "uscc, public_until", counted), reverse=True)
    found = bench.rows("lib_credit__subject", "uscc, public_until", "public_until is not null")
    assert ends and dict(found) == dict(ends), "a row may be shown until the first penalty that it counts ends"


def test_repairs_know_whether_their_record_is_there_and_of_their_subject(bench: Bench) -> None:
    assert bench.rows("lib_credit__repair", "repair_no, record_known") == [
        *((f"R{number}", True) for number in range(1, 6)), ("R6", False), ("R7", True), ("R8", False), ("R9", False),
        ("S1", True), ("S2", True), ("S3", False),
    ]  # fmt: skip


def test_a_repair_ends_the_publicity_of_a_natural_person_and_of_nobody_else(bench: Bench) -> None:
    about = "subject_category = '2'"
    yesterday = AS_OF - timedelta(days=1)
    assert bench.rows("lib_credit__penalty", "credit_record_no, repair_no, public_until", about) == [
        ("F0", None, date(2027, 2, 28)), ("F4", "S1", yesterday),
    ]  # fmt: skip
    found = bench.rows("lib_credit__listing", "list_record_no, repair_no, public_until, in_list", about)
    assert found == [("M5", "S2", yesterday, False)]


def test_a_grant_about_a_record_of_somebody_else_is_told_to_its_department(bench: Bench, contracts: Contracts) -> None:
    """It ends nobody's publicity, and so the firm that it is for is still shown: somebody must correct it."""
    relations = {
        name: scan(open_table(bench.locations[f"lib_credit__{name}"])).source
        for name in ("repair", "penalty", "listing")
    }
    models = {f"lib_credit__{name}": relation for name, relation in relations.items()}
    context = Context({}, AS_OF, relations["repair"], models=models)
    with duckdb.connect() as con:
        found = measure(con, contracts.models["lib_credit__repair"].advice, context)
    assert [one.failed for one in found] == [1, 2, 1, 0]  # R8; R6 and R9; S3


def test_a_score_is_the_sum_of_points_that_its_events_explain(bench: Bench) -> None:
    """A: two permits, seven commitments kept within three years, of which five count in full, a list of the trusted,
    a penalty; C: a minor fine, three other penalties in publicity, two lists, a promise broken just within time.
    """
    parts = bench.rows("lib_credit__score_part", "uscc, factor_code, events, points")
    assert parts == [
        ("91H", "fine_major", 6, -200.0), ("91H", "fine_minor", 3, -60.0),
        ("A", "fine_major", 1, -50.0), ("A", "honour", 1, 75.0), ("A", "kept", 7, 100.0), ("A", "permit", 2, 10.0),
        ("C", "broken", 1, -35.0), ("C", "fine_major", 3, -150.0), ("C", "fine_minor", 1, -20.0),
        ("C", "list_minor", 1, -60.0), ("C", "list_serious", 1, -125.0),
    ]  # fmt: skip
    # an association has no type of enterprise and is scored all the same; nothing is known of it
    assert bench.rows("lib_credit__score", "uscc, base_points, score, credit_grade") == [
        ("51S", 700.0, 700.0, "B"), ("91H", 700.0, 440.0, "D"), ("A", 700.0, 835.0, "B"), ("C", 700.0, 310.0, "D"),
    ]  # fmt: skip
    minor = "uscc = '91H' and factor_code = 'fine_minor'"
    assert bench.rows("lib_credit__score_event", "event_no", minor) == [("G3",), ("G5",), ("G6",)]
    own = {row[0] for row in bench.rows("lib_credit__score_event", "event_no", "uscc = 'B'")}
    assert own == set()  # a sole trader is a natural person in business


def test_every_kind_of_penalty_has_a_longest_time_of_publicity(contracts: Contracts) -> None:
    with (PROJECT.parent / "data_contracts/reference/penalty_publicity.csv").open(encoding="utf-8") as file:
        assert {row["penalty_category"] for row in csv.DictReader(file)} == set(
            contracts.codes["penalty_category"].rows
        )


def test_no_score_leaves_the_scale_and_every_factor_is_computed() -> None:
    rows = list(weights())
    assert sum(float(row["points_limit"]) for row in rows if float(row["points_each"]) > 0) == 1000
    base = next(float(row["points_limit"]) for row in rows if row["factor_code"] == "base")
    assert sum(float(row["points_limit"]) for row in rows if float(row["points_each"]) < 0) == base
    events = (PROJECT / "models/libraries/credit/lib_credit__score_event.sql").read_text("utf-8")
    scores = (PROJECT / "models/libraries/credit/lib_credit__score.sql").read_text("utf-8")
    for factor in {row["factor_code"] for row in rows} - {"base"}:
        assert f"'{factor}'" in events and f"points_{factor}," in scores


def test_every_vintage_stays_and_the_past_can_be_read_as_it_was(bench: Bench) -> None:
    columns = "period, revision_no, series_value, is_latest"
    model = "lib_macro__observation"
    assert bench.rows(model, columns, "series_code = 'gdp'") == [
        ("2024", 0, 2000.0, False), ("2024", 1, 2010.5, True), ("2025", 0, 2100.0, False), ("2025", 1, 2110.0, True),
    ]  # fmt: skip
    known = "published_at <= timestamptz '{0}' and (replaced_at is null or replaced_at > timestamptz '{0}')"
    assert bench.rows(model, "period, series_value", known.format("2025-06-30 00:00:00+00")) == [("2024", 2000.0)]
    assert bench.rows(model, "period, series_value", known.format("2026-06-30 00:00:00+00")) == [
        ("2024", 2010.5), ("2025", 2100.0),
    ]  # fmt: skip


def test_what_comes_out_on_the_day_itself_is_not_known_yet(bench: Bench) -> None:
    """An edition has no hour: a figure of half past nine must not be in the run of two o'clock in the night."""
    assert bench.rows("lib_macro__observation", "series_value", "figure_stage = 'preliminary'") == [(2000.0,)]
    assert bench.rows("lib_macro__observation", "sum(1)", "series_value = 2120.0") == [(None,)]
    assert bench.rows("lib_macro__observation", "replaced_at", "series_value = 2110.0") == [(None,)]
    assert bench.rows("lib_macro__benchmark", "sum(1)", "series_value = 999.0") == [(None,)]


def test_growth_is_checked_against_what_was_known_when_it_was_told(bench: Bench) -> None:
    columns = "period, revision_no, base_value, round(yoy_computed, 2), yoy_agrees"
    assert bench.rows("lib_macro__growth", columns) == [
        ("2025", 0, 2010.5, 4.45, True), ("2025", 1, 2010.5, 4.95, False),
    ]  # fmt: skip


def test_each_month_end_knows_what_was_out_by_then(bench: Bench) -> None:
    columns = "vintage_day, period, revision_no, series_value"
    rows = bench.rows("mart_macro__observation_as_known", columns, "series_code = 'gdp'")
    assert [row for row in rows if row[0] < date(2026, 3, 1)] == [
        (date(2025, 1, 31), "2024", 0, 2000.0),
        (date(2025, 12, 31), "2024", 1, 2010.5),
        (date(2026, 1, 31), "2024", 1, 2010.5),
        (date(2026, 1, 31), "2025", 0, 2100.0),
    ]
    assert rows[-1] == (date(2026, 10, 31), "2025", 1, 2110.0)


def test_rates_of_the_city_stand_beside_those_of_province_and_nation(bench: Bench) -> None:
    columns = "period, city_value, province_value, nation_value, gap_province, gap_nation, data_note"
    assert bench.rows("mart_macro__comparison", columns) == [
        ("2026-09", 101.5, 100.25, 100.5, 1.25, 1.0, "模拟数据"),
    ]  # fmt: skip


def with_claims(contracts: Contracts, *claims: Claim) -> Contracts:
    fields = {**contracts.authority["population/person"], "mobile": claims}
    return replace(contracts, authority={**contracts.authority, "population/person": fields})


SECOND_HALF = date(2026, 7, 1), date(2026, 12, 31)
REGISTER = Claim("psb/household_person", "mobile", "", "high", date(2021, 3, 1), None)
INSURANCE = Claim("hrssb/insurance", "mobile", "", "low", *SECOND_HALF)


@pytest.mark.long
def test_a_claim_counts_from_its_first_to_its_last_day(tmp_path: Path, contracts: Contracts) -> None:
    changing = with_claims(contracts, INSURANCE, REGISTER)
    bench = new_bench(tmp_path, changing)
    bench.load("psb/household_person", {"record_no": "R", "person_id": "p", "mobile": "1", "division_code": COUNTY})
    bench.load("hrssb/insurance", {"insurance_no": "S", "insurance_type": "110", "person_id": "p", "mobile": "2"})
    found = {}
    for day in (SECOND_HALF[0] - timedelta(days=1), *SECOND_HALF, SECOND_HALF[1] + timedelta(days=1)):
        bench.build("lib_geography__division", "lib_population__person", day=day)
        found[day.isoformat()] = bench.rows("lib_population__person", "mobile")[0][0]
    assert found == {"2026-06-30": "1", "2026-07-01": "2", "2026-12-31": "2", "2027-01-01": "1"}


def test_where_every_column_has_one_source_no_choice_is_told(tmp_path: Path, contracts: Contracts) -> None:
    """`attr_source` of a library whose columns each have one source left is empty, and the library is built."""
    alone = {
        library: {column: claims[:1] for column, claims in contracts.authority[library].items()}
        for library in ("population/person", "legal_entity/entity")
    }
    bench = new_bench(tmp_path, replace(contracts, authority={**contracts.authority, **alone}))
    bench.load("psb/household_person", {"record_no": "R", "person_id": "p", "mobile": "1", "division_code": COUNTY})
    bench.load("amr/enterprise", enterprise("A"))
    bench.build("lib_geography__division", "lib_population__person", "lib_legal_entity__entity")
    assert bench.rows("lib_population__person", "mobile, attr_source") == [("1", "{}")]
    assert bench.rows("lib_legal_entity__entity", "uscc, attr_source") == [("A", "{}")]


def test_the_matrix_is_an_input_of_every_model_and_the_day_only_where_a_claim_begins_or_ends(
    contracts: Contracts,
) -> None:
    changing = with_claims(contracts, INSURANCE, REGISTER)
    model = Model("lib_macro__series", "lib", "macro", None, (), (), "models/x.sql", "")

    def inputs(of: Contracts, day: date) -> str:
        path = "models/libraries/macro/lib_macro__series.sql"
        return model_inputs({model.name: replace(model, path=path)}, PROJECT, of, {}, day)[model.name]

    before, first, last = SECOND_HALF[0] - timedelta(days=1), *SECOND_HALF
    assert inputs(changing, before) != inputs(changing, first) == inputs(changing, last)
    assert inputs(changing, before) == inputs(changing, last + timedelta(days=1))
    assert inputs(changing, first) != inputs(contracts, first)
    assert inputs(contracts, before) == inputs(contracts, first)
    assert order_on(changing.authority, first)["population/person"]["mobile"] == ["hrssb/insurance", REGISTER.source]
    assert "hrssb/insurance" in generated(changing, first)["macros/authority.sql"]


@pytest.mark.long
@pytest.mark.parametrize(
    ("claims", "told"),
    [((replace(REGISTER, source="esb/pupil"),), "esb/pupil"), ((INSURANCE,), "no source counts on this day")],
)
def test_a_source_that_the_model_does_not_join_and_a_field_without_source_stop_their_library_alone(
    tmp_path: Path, contracts: Contracts, claims: tuple[Claim, ...], told: str
) -> None:
    bench = new_bench(tmp_path, with_claims(contracts, *claims))
    models = ("lib_geography__division", "lib_population__person", "lib_macro__series")
    result = bench.attempt(*models, day=date(2027, 3, 1))
    failed = {name: model.message for name, model in result.models.items() if model.status != "success"}
    assert set(failed) == {"lib_population__person"}
    assert told in failed["lib_population__person"]
