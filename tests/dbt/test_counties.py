"""Figures of the counties on rows that can be counted by hand: all eight indicators, and the ages beside them."""

import csv
from collections.abc import Iterator
from datetime import date, datetime, timedelta

import pytest
from libraries import AS_OF, Bench, Row, new_bench

from pipelines.contracts.load import Contracts

JINAN, YUAN = "341502", "341503"  # 金安区, 裕安区
MODELS = (
    "lib_geography__division",
    "lib_population__person",
    "lib_population__registered",
    "lib_legal_entity__entity",
    "lib_macro__observation",
    "mart_gov_service__case",
    "mart_gov_service__evaluation_month",
    "mart_eco_env__air_hour",
    "mart_eco_env__aqi_day",
    "mart_population__age_structure",
    "mart_smart_city__county_indicator",
)
INDICATORS, AGES = MODELS[-1], MODELS[-2]


def registered(person: str, division: str = f"{JINAN}001001", **given: object) -> Row:
    return {
        "record_no": f"R-{person}", "person_id": person, "id_number": f"34150219900101{len(person):03}X",
        "name": "王一", "sex": "1", "birth_date": "1990-01-01", "household_no": "H1", "household_relation": "02",
        "division_code": division,
        "source_updated_at": "2026-01-01 00:00:00+00", **given,
    }  # fmt: skip


def floating(person: str, division: str) -> Row:
    return {
        "record_no": f"F-{person}", "person_id": person, "id_number": f"11010119850307{len(person):03}2",
        "name": "李二", "sex": "2", "origin_county": "110101", "division_code": division, "residence_address": "出租屋",
        "floating_status": "1", "registered_on": "2025-05-01", "source_updated_at": "2026-02-01 00:00:00+00",
    }  # fmt: skip


def health_record(person: str, status: str = "1") -> Row:
    return {
        "health_record_no": f"E-{person}", "person_id": person, "name": "王一", "record_status": status,
        "division_code": f"{JINAN}001001", "opened_on": "2020-01-01",
    }  # fmt: skip


def residents(county: str, ten_thousands: float, period: str = "2025") -> Row:
    return {
        "series_code": "resident_population", "area_code": county, "period": period, "revision_no": 1,
        "series_value": ten_thousands, "published_at": "2026-04-10 00:00:00+00",
    }  # fmt: skip


def case(number: str, finished: str | None, county: str = JINAN) -> Row:
    return {
        "case_no": number, "item_code": "I1", "item_name": "事项", "applicant_type": "1", "applicant_id": f"h{number}",
        "department_name": "市人社局", "county_code": county, "service_channel": "1", "promised_days": 5,
        "accepted_at": "2026-10-20 09:00:00+08:00", "due_at": "2026-10-27 17:00:00+08:00", "finished_at": finished,
    }  # fmt: skip


def evaluation(number: int, grade: str) -> Row:
    return {
        "evaluation_no": f"E{number}", "case_no": "on time", "service_channel": "1", "satisfaction": grade,
        "evaluated_at": "2026-10-28 01:00:00+08:00",
    }  # fmt: skip


def enterprise(uscc: str, status: str = "1", county: str = JINAN) -> Row:
    return {
        "subject_no": f"N-{uscc}", "uscc": uscc, "entity_name": "六安公司", "entity_type": "1130",
        "entity_status": status, "county_code": county, "source_updated_at": "2026-01-01 00:00:00+00",
    }  # fmt: skip


def air(day: date, pm10: float) -> Iterator[Row]:
    values = {"so2": 10.0, "no2": 20.0, "co": 1.0, "o3": 50.0, "pm10": pm10, "pm25": 20.0}
    for hour in range(24):
        at = datetime(day.year, day.month, day.day, hour)
        yield {"station_no": "LA01", "observed_at": f"{at.isoformat(' ')}+08:00", "air_flag": "N", **values}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, contracts: Contracts) -> Iterator[Bench]:
    bench = new_bench(tmp_path_factory.mktemp("counties"), contracts)
    for name, dataset in (("county_indicators", "dsrb/county_indicator"), ("aqi_breakpoints", "eeb/aqi_breakpoint")):
        bench.load(dataset, *reference(contracts, name))
    divisions = (("341500", "六安市", "city"), (JINAN, "金安区", "county"), (YUAN, "裕安区", "county"))
    bench.load("dsrb/division", *({"code": c, "division_name": n, "division_level": v} for c, n, v in divisions))
    bench.load(
        "psb/household_person",
        *map(registered, ("at home", "away", "dead", "left")),
        registered("neighbour", f"{YUAN}001001"),
    )
    bench.load("psb/household_person", registered("left"), batch=2, op="D")
    bench.load("psb/floating_person", floating("away", f"{YUAN}001"), floating("stranger", f"{JINAN}001"))
    bench.load("cab/cremation", {"death_certificate_no": "C", "person_id": "dead", "died_on": "2026-09-01"})
    bench.load("hc/health_record", *map(health_record, ("at home", "away", "dead", "left", "stranger")))
    bench.load("hc/health_record", health_record("neighbour", "0"), batch=2)
    bench.load("sb/macro_observation", residents(JINAN, 0.0004), residents(YUAN, 0.0002), residents(JINAN, 9.0, "2024"))
    bench.load(
        "dsrb/service_case",
        case("on time", "2026-10-27 17:00:00+08:00"),
        case("late", "2026-10-27 17:00:01+08:00"),
        case("open", None),
        case("elsewhere", "2026-10-21 17:00:00+08:00", YUAN),
    )
    bench.load("dsrb/evaluation", *(evaluation(number, grade) for number, grade in enumerate("54321")))
    bench.load("amr/enterprise", enterprise("A"), enterprise("B"), enterprise("C", "4"), enterprise("D", county=YUAN))
    bench.load("eeb/air_station", {"station_no": "LA01", "station_name": "一号", "county_code": JINAN})
    days = ((date(2026, 8, 1), 600.0), (date(2026, 10, 30), 30.0), (date(2026, 10, 31), 250.0))
    bench.load("eeb/air_station_hour", *(row for day, pm10 in days for row in air(day, pm10)))
    bench.build(*MODELS)
    yield bench


def reference(contracts: Contracts, name: str) -> list[dict[str, str | None]]:
    with (contracts.root / "reference" / f"{name}.csv").open(encoding="utf-8") as file:
        return [{key: value or None for key, value in row.items()} for row in csv.DictReader(file)]


def figures(bench: Bench, county: str) -> dict[str, tuple[float | None, float | None, float | None, str | None]]:
    columns = "indicator_code, numerator, denominator, value, period"
    return {code: tuple(rest) for code, *rest in bench.rows(INDICATORS, columns, f"county_code = '{county}'")}


@pytest.mark.long
def test_every_indicator_of_a_county_can_be_counted_by_hand(bench: Bench) -> None:
    assert figures(bench, JINAN) == {
        "registered_population": (2, None, 2, None),  # at home and away: the dead, the left, the stranger are not
        "resident_share": (1, 2, 50, None),  # away lives in the next county
        "health_record_coverage": (2, 4, 50, "2025"),  # at home and the stranger, by where they live
        "case_on_time_rate": (1, 2, 50, None),  # what is not finished is not late yet
        "satisfaction_rate": (3, 5, 60, None),
        "entities_per_thousand": (2, 2, 1000, None),
        "aqi_mean": (180, 2, 90, None),  # 30 and 150; August is longer ago than thirty days
        "good_day_rate": (1, 2, 50, None),
    }


@pytest.mark.long
def test_a_county_without_figures_says_so(bench: Bench) -> None:
    found = figures(bench, YUAN)
    assert found["aqi_mean"] == found["satisfaction_rate"] == (None, None, None, None)
    assert found["registered_population"] == (1, None, 1, None)
    assert found["health_record_coverage"] == (1, 2, 50, "2025")  # away, whose record another county opened


@pytest.mark.long
def test_ages_add_up_to_the_registered_population(bench: Bench) -> None:
    ages = bench.rows(AGES, "county_code, sex, age_band, persons")
    for county in (JINAN, YUAN):
        assert sum(row[3] for row in ages if row[0] == county) == figures(bench, county)["registered_population"][2]
    assert {row[1] for row in ages} == {"1"}, "somebody who only lives here is no registered person"


@pytest.mark.long
def test_an_indicator_follows_its_source(bench: Bench) -> None:
    bench.load("amr/enterprise", enterprise("B", "4"), batch=2, op="U")
    bench.load("cab/cremation", {"death_certificate_no": "D", "person_id": "away", "died_on": "2026-10-01"}, batch=2)
    bench.build(*MODELS, day=AS_OF + timedelta(1))
    found = figures(bench, JINAN)
    assert found["entities_per_thousand"] == (1, 1, 1000, None)
    assert found["registered_population"] == (1, None, 1, None)
