"""The themed libraries on a few rows: the air quality index by exact arithmetic, services, the plan's indicators."""

import csv
import math
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from random import Random

import pytest
from libraries import AS_OF, Bench, new_bench

from pipelines.contracts.load import Contracts

STATION, COUNTY = "LA01", "341502"
POLLUTANTS = {"so2": "24h", "no2": "24h", "co": "24h", "o3": "1h", "pm10": "24h", "pm25": "24h"}
CLEAN = {"so2": 10.0, "no2": 20.0, "co": 1.0, "o3": 50.0, "pm10": 30.0, "pm25": 20.0}
FIRST = date(2026, 3, 1)


def reference(contracts: Contracts, name: str) -> list[dict[str, str | None]]:
    with (contracts.root / "reference" / f"{name}.csv").open(encoding="utf-8") as file:
        return [{key: value or None for key, value in row.items()} for row in csv.DictReader(file)]


def breakpoints(contracts: Contracts) -> list[tuple[str, str, Fraction, Fraction, Fraction, Fraction]]:
    names = ("concentration_low", "concentration_high", "iaqi_low", "iaqi_high")
    rows = reference(contracts, "aqi_breakpoints")
    return [(row["pollutant"], row["averaging"], *(Fraction(row[name]) for name in names)) for row in rows]


def sub_index(contracts: Contracts, pollutant: str, averaging: str, concentration: Fraction) -> int:
    """HJ 633-2012 in exact arithmetic, independent of the model."""
    mine = [row for row in breakpoints(contracts) if row[:2] == (pollutant, averaging)]
    for _, _, low, high, index_low, index_high in mine:
        if low < concentration <= high or concentration == low == 0:
            return math.ceil((index_high - index_low) / (high - low) * (concentration - low) + index_low)
    return 500


def hours(day: date, values: dict[str, float | None], count: int = 24, station: str = STATION, flag: str = "N"):
    for hour in range(count):
        at = datetime(day.year, day.month, day.day, hour)
        yield {"station_no": station, "observed_at": f"{at.isoformat(' ')}+08:00", "air_flag": flag, **values}


@pytest.fixture
def bench(tmp_path: Path, contracts: Contracts) -> Iterator[Bench]:
    bench = new_bench(tmp_path, contracts)
    bench.load("dsrb/division", *divisions())
    bench.load("eeb/aqi_breakpoint", *reference(contracts, "aqi_breakpoints"))
    bench.load("eeb/air_station", {"station_no": STATION, "station_name": "一号", "county_code": COUNTY})
    yield bench


def divisions() -> list[dict[str, str]]:
    return [
        {"code": "341500", "division_name": "六安市", "division_level": "city", "parent_code": "340000"},
        {"code": COUNTY, "division_name": "金安区", "division_level": "county", "parent_code": "341500"},
    ]


AIR = ("lib_geography__division", "mart_eco_env__air_hour", "mart_eco_env__aqi_day")


@pytest.mark.long
def test_the_index_is_that_of_exact_arithmetic(bench: Bench, contracts: Contracts) -> None:
    """Two hundred days of random air, and the values on which popular libraries go wrong (docs/findings-aqi.md)."""
    random, days = Random(633), dict[date, dict[str, float]]()
    known = ({"co": 2.4}, {"no2": 40.5}, {"pm25": 76.0}, {"pm25": 35.0}, {"pm10": 50.0}, {"so2": 0.0}, {"pm25": 501.0})
    for number in range(200):
        tops = {"so2": 700, "no2": 300, "co": 20, "o3": 90, "pm10": 450, "pm25": 300}
        drawn = {name: round(random.uniform(0, top), 1) for name, top in tops.items()}
        days[FIRST + timedelta(number)] = {**CLEAN, **known[number]} if number < len(known) else drawn
    bench.load("eeb/air_station_hour", *(row for day, values in days.items() for row in hours(day, values)))
    bench.build(*AIR)
    found = {day: (aqi, main) for day, aqi, main in bench.rows(AIR[2], "day, aqi, primary_pollutants")}
    for day, values in days.items():
        # a constant hour is its own mean, over 24 hours and over 8
        exact = {name: Fraction(str(value)) for name, value in values.items()}
        indices = {name: sub_index(contracts, name, POLLUTANTS[name], exact[name]) for name in POLLUTANTS}
        indices["o3"] = max(indices["o3"], sub_index(contracts, "o3", "8h", exact["o3"]))
        worst = max(indices.values())
        main = ",".join(name for name in POLLUTANTS if indices[name] == worst) if worst > 50 else None
        assert found[day] == (worst, main), (day, values)
    assert found[FIRST][0] == 60 and found[FIRST + timedelta(1)][0] == 51 and found[FIRST + timedelta(2)][0] == 102


def test_a_day_without_enough_valid_hours_has_no_index(bench: Bench) -> None:
    second, third = FIRST + timedelta(1), FIRST + timedelta(2)
    short = [*hours(FIRST, CLEAN, 19)]
    flagged = [*hours(second, CLEAN, 20), *list(hours(second, {**CLEAN, "pm25": 900.0}, 24, flag="C"))[20:]]
    partly = [*hours(third, {**CLEAN, "so2": None})]
    bench.load("eeb/air_station_hour", *short, *flagged, *partly)
    bench.build(*AIR)
    rows = {day: (aqi, level) for day, aqi, level in bench.rows(AIR[2], "day, aqi, aqi_level")}
    assert rows == {FIRST: (None, None), second: (30, "1"), third: (None, None)}  # PM10 of 30 µg/m³


def test_breakpoints_count_from_their_day(bench: Bench, contracts: Contracts) -> None:
    rows = [{**row, "valid_to": "2026-03-01"} for row in reference(contracts, "aqi_breakpoints")]
    stricter = {"pollutant": "pm25", "averaging": "24h", "valid_from": "2026-03-02", "iaqi_low": "0", "iaqi_high": "50"}
    strict = [{**row, "valid_from": "2026-03-02"} for row in reference(contracts, "aqi_breakpoints")]
    strict = [row for row in strict if row["pollutant"] != "pm25"]
    strict.append({**stricter, "concentration_low": "0", "concentration_high": "25"})
    bench.load("eeb/aqi_breakpoint", *rows, *strict, batch=2, op="U")
    bench.load("eeb/air_station_hour", *hours(FIRST, CLEAN), *hours(FIRST + timedelta(1), CLEAN))
    bench.build(*AIR)
    assert [row[0] for row in bench.rows(AIR[2], "aqi", "true")] == [
        30,
        40,
    ]  # PM2.5 of 20: 29 by the old, 40 by the new; PM10 of 30: 30


def test_without_breakpoints_in_force_there_is_no_index(bench: Bench, contracts: Contracts) -> None:
    """Neither on a day after the last ones, nor where the scale has a gap: it is not the air that is bad."""
    gap = [
        row for row in reference(contracts, "aqi_breakpoints") if (row["pollutant"], row["iaqi_low"]) != ("co", "50")
    ]
    bench.load("eeb/aqi_breakpoint", *({**row, "valid_to": "2026-03-02"} for row in gap), batch=2, op="U")
    missing = [row for row in reference(contracts, "aqi_breakpoints") if row not in gap]
    bench.load("eeb/aqi_breakpoint", *missing, batch=2, op="D")
    days = [FIRST + timedelta(number) for number in range(3)]
    air = (CLEAN, {**CLEAN, "co": 3.0}, CLEAN)
    bench.load(
        "eeb/air_station_hour", *(row for day, values in zip(days, air, strict=True) for row in hours(day, values))
    )
    bench.build(*AIR)
    found = bench.rows(AIR[2], "day, aqi, aqi_level, primary_pollutants")
    assert found == [(days[0], 30, "1", None), (days[1], None, None, None), (days[2], None, None, None)]


def test_beyond_the_scale_the_index_is_five_hundred(bench: Bench) -> None:
    bench.load(
        "eeb/air_station_hour",
        *hours(FIRST, {**CLEAN, "pm10": 600.0}),
        *hours(FIRST + timedelta(1), {**CLEAN, "pm10": 600.1}),
    )
    bench.build(*AIR)
    assert bench.rows(AIR[2], "aqi, aqi_level, primary_pollutants") == [(500, "6", "pm10"), (500, "6", "pm10")]


def test_ozone_beyond_its_eight_hour_scale_is_judged_by_the_hour(bench: Bench) -> None:
    bench.load("eeb/air_station_hour", *hours(FIRST, {**CLEAN, "o3": 900.0}))
    bench.build(*AIR)
    assert bench.rows(AIR[2], "aqi, primary_pollutants, o3_8h") == [(350, "o3", 900.0)]


def case(number: str, due: str, finished: str | None, **given: object) -> dict[str, object]:
    return {
        "case_no": number, "item_code": "I1", "item_name": "事项", "applicant_type": "1", "applicant_id": f"h{number}",
        "department_name": "市人社局", "county_code": COUNTY, "service_channel": "1", "promised_days": 5,
        "accepted_at": "2026-10-20 09:00:00+08:00", "due_at": due, "finished_at": finished, **given,
    }  # fmt: skip


SERVICE = (
    "lib_geography__division",
    "mart_gov_service__case",
    "mart_gov_service__case_day",
    "mart_gov_service__step",
    "mart_gov_service__evaluation_month",
    "mart_gov_service__case_month",
)


def test_a_case_is_on_time_to_the_second_and_overdue_from_the_day_after(bench: Bench) -> None:
    bench.load(
        "dsrb/service_case",
        case("in time", "2026-10-27 17:00:00+08:00", "2026-10-27 17:00:00+08:00"),
        case("late", "2026-10-27 17:00:00+08:00", "2026-10-27 17:00:01+08:00"),
        case("open", f"{AS_OF} 17:00:00+08:00", None),
        case("forgotten", f"{AS_OF - timedelta(1)} 17:00:00+08:00", None),
    )
    bench.load(
        "dsrb/case_step",
        {"step_no": "1", "case_no": "in time", "case_step": "3", "started_at": "2026-10-20 09:30:00+08:00",
         "ended_at": "2026-11-01 10:00:00+08:00"},
        {"step_no": "2", "case_no": "late", "case_step": "3", "started_at": "2026-02-28 23:00:00+08:00",
         "ended_at": "2026-03-01 01:00:00+08:00"},
        {"step_no": "3", "case_no": "open", "case_step": "3", "started_at": "2026-10-20 09:30:00+08:00"},
    )  # fmt: skip
    bench.load(
        "dsrb/evaluation",
        *({"evaluation_no": f"E{grade}", "case_no": "late", "service_channel": "1", "satisfaction": str(grade),
           "evaluated_at": "2026-11-01 01:00:00+08:00"} for grade in range(1, 6)),
    )  # fmt: skip
    bench.build(*SERVICE)
    assert bench.rows(SERVICE[1], "case_no, on_time, overdue") == [
        ("forgotten", False, True),
        ("in time", True, False),
        ("late", False, True),
        ("open", None, False),
    ]
    counts = "cases_accepted, cases_finished, cases_on_time, cases_overdue"
    assert bench.rows(SERVICE[2], f"day, {counts}") == [(date(2026, 10, 20), 4, 2, 1, 2)]
    assert bench.rows(SERVICE[5], f"month, {counts}") == [("2026-10", 4, 2, 1, 2)]
    assert bench.rows(SERVICE[3], "steps, steps_finished, mean_hours") == [(3, 2, (288.5 + 2) / 2)]
    grades = "month, evaluations, satisfied, very_satisfied, very_dissatisfied, satisfaction_rate"
    assert bench.rows(SERVICE[4], grades) == [("2026-11", 5, 3, 1, 1, 0.6)]


def person(number: int, **given: object) -> dict[str, object]:
    return {
        "record_no": f"R{number}", "person_id": f"p{number}", "id_number": f"id{number}", "name": "张三", "sex": "1",
        "birth_date": "1980-01-01", "household_no": "H1", "household_relation": "02",
        "division_code": f"{COUNTY}001001", "source_updated_at": "2026-01-01 00:00:00+00", **given,
    }  # fmt: skip


def record(number: int, **given: object) -> dict[str, object]:
    return {
        "health_record_no": f"E{number}", "person_id": f"p{number}", "name": "张三", "record_status": "1",
        "division_code": f"{COUNTY}001001", "opened_on": "2020-01-01", **given,
    }  # fmt: skip


def series(code: str, value: float, area: str = "341500", period: str = "2024", revision: int = 1) -> dict[str, object]:
    at = f"2025-0{revision}-01 00:00:00+00"
    names = ("series_code", "area_code", "period", "revision_no", "series_value", "published_at")
    return dict(zip(names, (code, area, period, revision, value, at), strict=True))


PLAN = (
    "lib_geography__division",
    "lib_population__person",
    "lib_macro__observation",
    "mart_smart_city__indicator",
)


def plan(bench: Bench, where: str) -> list[tuple[object, ...]]:
    columns = "indicator_code, target_year, numerator, denominator, value, status, attained, missing_source"
    return bench.rows(PLAN[3], columns, where)


def station(number: int, **given: str) -> dict[str, str]:
    return {"station_code": f"S{number}", "county_code": COUNTY, "facility_status": "1", **given}


def school(number: int, grade: str, place: str = "3") -> dict[str, str]:
    return {"school_code": f"X{number}", "school_place": place, "smart_school_grade": grade}


def load_plan(bench: Bench, contracts: Contracts) -> None:
    bench.load("dsrb/plan_indicator", *reference(contracts, "plan_indicators"))
    bench.load("dsrb/plan_target", *reference(contracts, "plan_targets"))


@pytest.mark.long
def test_a_value_follows_its_source_and_the_others_name_what_is_missing(bench: Bench, contracts: Contracts) -> None:
    load_plan(bench, contracts)
    bench.load("psb/household_person", *(person(number) for number in range(1, 5)))
    bench.load("hc/health_record", record(1), record(2), record(3, record_status="0"), record(9))
    bench.load(
        "sb/macro_observation",
        series("resident_population", 0.0004, period="2025"),
        series("gdp", 200.0, period="2025"),
        series("gdp", 900.0, period="2026"),  # out in January; the digital core follows in May
        series("digital_core_value_added", 12.0, period="2025"),
        series("digital_core_share_province", 7.0, "340000", period="2025"),
        series("digital_core_share_province", 1.0, "340000", period="2026"),
    )
    bench.load("eitb/base_station", *(station(number) for number in range(3)), station(3, facility_status="2"))
    grades = ("0", "1", "2", "1")
    bench.load("esb/smart_school", *(school(place, grade) for place, grade in enumerate(grades)), school(9, "1", "1"))
    bench.build(*PLAN)
    assert plan(bench, "indicator_code in ('K01', 'K13')") == [
        ("K01", 2023, 3.0, None, 3.0, "value", "no", None),
        ("K01", 2025, 3.0, None, 3.0, "value", "no", None),
        ("K13", 2023, 3.0, 4.0, 75.0, "value", "no", None),
        ("K13", 2025, 3.0, 4.0, 75.0, "value", "not_applicable", None),
    ]
    assert plan(bench, "indicator_code = 'K15'") == [
        ("K15", 2023, 2.0, 4.0, 50.0, "value", "no", None),
        ("K15", 2025, 2.0, 4.0, 50.0, "value", "not_applicable", None),
    ]
    assert plan(bench, "indicator_code = 'K19'") == [
        ("K19", 2023, 12.0, 200.0, 6.0, "value", "not_applicable", None),
        ("K19", 2025, 12.0, 200.0, 6.0, "value", "no", None),
    ]
    others = plan(bench, "indicator_code not in ('K01', 'K13', 'K15', 'K19')")
    assert len(others) == 32
    assert all(row[2:7] == (None, None, None, "no_source", "not_applicable") and row[7] for row in others)
    # the source changes: two more records, and a revision of the province's share
    bench.load("hc/health_record", record(3), record(4), batch=2, op="U")
    revised = series("digital_core_share_province", 5.0, "340000", period="2025", revision=2)
    bench.load("sb/macro_observation", revised, batch=2)
    bench.build(*PLAN)
    assert [row[2:7] for row in plan(bench, "indicator_code = 'K15'")] == [
        (4.0, 4.0, 100.0, "value", "yes"),
        (4.0, 4.0, 100.0, "value", "not_applicable"),
    ]
    assert [row[6] for row in plan(bench, "indicator_code = 'K19' and target_year = 2025")] == ["yes"]


def test_a_target_is_judged_by_figures_of_its_year_or_later(bench: Bench, contracts: Contracts) -> None:
    load_plan(bench, contracts)
    bench.load(
        "sb/macro_observation",
        series("gdp", 200.0, period="2024"),
        series("digital_core_value_added", 12.0, period="2024"),
        series("digital_core_share_province", 5.0, "340000", period="2024"),
    )
    bench.build(*PLAN)
    assert [row[4:7] for row in plan(bench, "indicator_code = 'K19'")] == [(6.0, "value", "not_applicable")] * 2


def test_without_figures_an_indicator_with_a_source_waits(bench: Bench, contracts: Contracts) -> None:
    load_plan(bench, contracts)
    bench.build(*PLAN)
    assert {row[5] for row in plan(bench, "indicator_code in ('K01', 'K13', 'K15', 'K19')")} == {"pending"}
    assert {row[2:5] for row in plan(bench, "indicator_code in ('K01', 'K13')")} == {(None, None, None)}


def test_targets_are_those_of_the_plan(contracts: Contracts) -> None:
    """Table 2-1 as printed (plan_table_2_1.txt beside this file), with line breaks and spaces taken out."""
    printed = (Path(__file__).parent / "plan_table_2_1.txt").read_text("utf-8")
    text = "".join(line for line in printed.splitlines() if not line.startswith("#")).replace(" ", "")
    targets = reference(contracts, "plan_targets")
    assert len(targets) == 40 and len({row["indicator_code"] for row in targets}) == 20
    for row in targets:
        assert str(row["target_text"]).replace(" ", "") in text, row
    numeric = {(row["indicator_code"], row["target_year"]): row for row in targets if row["target_kind"] == "numeric"}
    assert all(row["target_value"] in str(row["target_text"]) for row in numeric.values())
    assert {row["target_kind"] for row in targets} == {"numeric", "saturating", "qualitative", "benchmark", "absent"}
    assert not [row for row in targets if row["target_kind"] != "numeric" and row["target_value"]]
