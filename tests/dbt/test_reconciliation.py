"""The population library held against the household office's reports, town by town, also where there is none."""

from datetime import date

import pytest
from libraries import Bench, new_bench

from pipelines.contracts.load import Contracts

COUNTY = "341502"
REPORTED, SILENT, EMPTY = (f"{COUNTY}{number:03}" for number in (1, 2, 3))
MODEL = "mart_population__reconciliation"


def person(number: int, town: str, **given: object) -> dict[str, object]:
    return {
        "record_no": f"R-{number}", "person_id": f"p{number}", "name": "王一", "sex": "1", "birth_date": "1990-01-01",
        "household_no": f"H{number}", "household_relation": "02", "division_code": f"{town}001",
        "source_updated_at": "2026-01-01 00:00:00+00", **given,
    }  # fmt: skip


def report(number: int, day: str, persons: int) -> dict[str, object]:
    return {
        "population_report_no": f"B{number}", "report_day": day, "town_code": REPORTED, "registered_persons": persons,
        "registered_households": 2, "registered_males": persons - 1, "registered_females": 1, "deaths_registered": 2,
        "departures_registered": 0,
    }  # fmt: skip


def certificate(number: int, moment: str) -> dict[str, object]:
    return {"birth_certificate_no": f"Q{number}", "born_at": moment, "division_code": f"{EMPTY}001"}


@pytest.fixture
def bench(tmp_path_factory: pytest.TempPathFactory, contracts: Contracts) -> Bench:
    bench = new_bench(tmp_path_factory.mktemp("reconciliation"), contracts)
    towns = ((REPORTED, "东市街道"), (SILENT, "中市街道"), (EMPTY, "三里桥街道"))
    bench.load(
        "dsrb/division",
        {"code": COUNTY, "division_name": "金安区", "division_level": "county"},
        *({"code": code, "division_name": name, "division_level": "town"} for code, name in towns),
    )
    gone = {"cancelled": "1", "cancelled_on": "2026-10-31"}
    bench.load(
        "psb/household_person",
        *(person(1, REPORTED), person(2, SILENT), person(3, SILENT, household_no="H2", sex="2")),
        person(4, REPORTED, died_on="2026-10-29", **gone),
        person(5, REPORTED, moved_out_on="2026-10-31", **gone),
        person(6, REPORTED, died_on="2026-10-29", **gone | {"cancelled_on": "2026-10-30"}),
    )
    moved = {"moved_out_on": "2026-10-29", **gone | {"cancelled_on": "2026-10-30"}}
    bench.load(
        "psb/household_person",
        person(7, EMPTY, birth_date="2026-10-01", **moved),
        person(8, EMPTY, birth_date="2026-10-02", **moved),
        batch=2,
    )
    moments = ("2026-07-03 15:59:59+00", "2026-07-03 16:00:00+00", "2026-10-01 15:59:59+00", "2026-10-01 16:00:00+00")
    bench.load("hc/birth_certificate", *(certificate(number, at) for number, at in enumerate(moments)))
    bench.load("psb/population_report", report(1, "2026-10-30", 9), report(2, "2026-10-31", 3))
    bench.build("lib_geography__division", "lib_population__person", MODEL)
    return bench


def test_a_town_without_a_report_is_a_row_without_its_figures(bench: Bench) -> None:
    columns = "town_code, report_day, registered_persons, persons_listed, persons_missing, missing_share is null"
    assert bench.rows(MODEL, columns) == [
        (REPORTED, date(2026, 10, 31), 3, 1, 2, False),
        (SILENT, None, None, 2, None, True),
        (EMPTY, None, None, 0, None, True),
    ]


@pytest.mark.long
def test_every_figure_of_the_report_is_held_against_the_library(bench: Bench) -> None:
    """Deaths and departures are of the day of the report: who was struck off the day before is not counted."""
    figures = ("households", "males", "females", "deaths", "departures")
    listed, missing = (", ".join(f"{name}_{kind}" for name in figures) for kind in ("listed", "missing"))
    assert bench.rows(MODEL, f"town_code, {listed}") == [
        (REPORTED, 1, 1, 0, 1, 1), (SILENT, 1, 1, 1, 0, 0), (EMPTY, 0, 0, 0, 0, 0),
    ]  # fmt: skip
    assert bench.rows(MODEL, f"{missing}, males_missing_share", f"town_code = '{REPORTED}'") == [(1, 1, 1, 1, -1, 0.5)]
    assert bench.rows(MODEL, missing, f"town_code = '{SILENT}'") == [(None,) * 5]


def test_births_are_those_of_90_days_of_which_a_month_has_passed(bench: Bench) -> None:
    """Certificates of the days before and after are not counted; a child that moved away since was registered."""
    births = "births_certified, births_listed, births_missing"
    assert bench.rows(MODEL, f"town_code, {births}") == [(REPORTED, 0, 0, 0), (SILENT, 0, 0, 0), (EMPTY, 2, 1, 1)]
