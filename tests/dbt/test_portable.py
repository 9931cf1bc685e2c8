"""The portable macros, evaluated through dbt on DuckDB; tests/slow/test_sail.py asks the second engine the same."""

from court import City
from portable_samples import AGES, FUNCTIONS, SUMS

from pipelines.lake.portability import check_model
from pipelines.lake.portable_tokens import FUNCTIONS as ALLOWED
from pipelines.lake.portable_tokens import words


def test_ages_and_bands(city: City) -> None:
    city.models["models/marts/mart_court__urgent.sql"] = AGES
    result = city.build(["mart_court__urgent"])
    found = {(str(row[0]), str(row[1])[5:]): row[2:] for row in city.candidate_rows(result, "mart_court__urgent")}
    assert found == {
        ("2000-02-29", "02-28"): (25, "25-29"),
        ("2000-02-29", "03-01"): (26, "25-29"),
        ("2000-11-01", "11-01"): (26, "25-29"),
        ("2000-11-02", "11-01"): (25, "25-29"),
        ("2026-11-01", "11-01"): (0, "00-04"),
        ("1926-11-01", "11-01"): (100, "85+"),
        ("2027-11-01", "11-01"): (-1, None),
        ("None", "11-01"): (None, None),
    }


def test_every_function_that_models_may_use_has_a_sample() -> None:
    for sql in (FUNCTIONS, SUMS):
        assert [str(finding) for finding in check_model("sample", sql, sql, set())] == []
    assert {word.text for word in words(FUNCTIONS + SUMS)} >= ALLOWED


def test_the_samples_run(city: City) -> None:
    city.models |= {"models/marts/mart_court__urgent.sql": FUNCTIONS, "models/marts/mart_court__division.sql": SUMS}
    result = city.build(["mart_court__urgent", "mart_court__division"])
    assert len(city.candidate_rows(result, "mart_court__urgent")) == 4
    assert len(city.candidate_rows(result, "mart_court__division")) == 1
