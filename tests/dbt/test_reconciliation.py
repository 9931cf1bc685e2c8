"""The population library held against the household office's reports, town by town, also where there is none."""

from datetime import date

import pytest
from libraries import Bench, new_bench

from pipelines.contracts.load import Contracts

COUNTY = "341502"
REPORTED, SILENT, EMPTY = (f"{COUNTY}{number:03}" for number in (1, 2, 3))
MODEL = "mart_population__reconciliation"


def person(number: int, town: str) -> dict[str, object]:
    return {
        "record_no": f"R-{number}", "person_id": f"p{number}", "name": "王一", "sex": "1", "birth_date": "1990-01-01",
        "household_no": f"H{number}", "household_relation": "02", "division_code": f"{town}001",
        "source_updated_at": "2026-01-01 00:00:00+00",
    }  # fmt: skip


def report(number: int, day: str, persons: int) -> dict[str, object]:
    return {
        "population_report_no": f"B{number}", "report_day": day, "town_code": REPORTED, "registered_persons": persons,
    }  # fmt: skip


@pytest.fixture
def bench(tmp_path_factory: pytest.TempPathFactory, contracts: Contracts) -> Bench:
    bench = new_bench(tmp_path_factory.mktemp("reconciliation"), contracts)
    towns = ((REPORTED, "东市街道"), (SILENT, "中市街道"), (EMPTY, "三里桥街道"))
    bench.load(
        "dsrb/division",
        {"code": COUNTY, "division_name": "金安区", "division_level": "county"},
        *({"code": code, "division_name": name, "division_level": "town"} for code, name in towns),
    )
    bench.load("psb/household_person", person(1, REPORTED), person(2, SILENT), person(3, SILENT))
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
