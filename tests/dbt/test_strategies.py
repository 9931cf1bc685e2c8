"""Every strategy of the `delta` materialisation on DuckDB: full, unchanged, incremental, deletes, empty models."""

import pytest
from court import NAMES, City, cases


@pytest.mark.long
def test_full_then_unchanged_then_incremental(city: City) -> None:
    first = city.build()
    assert {name: (m.status, m.message) for name, m in first.models.items() if m.status != "success"} == {}
    before = {name: city.candidate_rows(first, name) for name in NAMES}
    assert len(before["lib_court__case"]) == 1000
    assert len(before["lib_court__day"]) == 10
    assert before["mart_court__urgent"] == []
    city.release(first)

    unchanged = city.build()
    assert {name: city.candidate_rows(unchanged, name) for name in NAMES} == before
    city.release(unchanged)

    city.load(
        "court/case",
        cases(2, "U", "3, 100, 10", status="urgent", day="3"),
        cases(2, "D", "5, 1000, 10"),  # every case of day 5
        cases(2, "I", "1000, 1010", day="12"),
    )
    changed = city.build()
    after = {name: city.candidate_rows(changed, name) for name in NAMES}
    assert len(after["lib_court__case"]) == 1000 - 100 + 10
    assert len(after["lib_court__log"]) == 1000 + 10 + 100 + 10
    assert len(after["lib_court__day"]) == 10
    assert len(after["mart_court__urgent"]) == 10
    full = city.build(full_refresh=True)
    assert {name: city.candidate_rows(full, name) for name in NAMES} == after


def test_a_build_spills_into_its_own_lake(city: City) -> None:
    city.models["models/marts/mart_court__urgent.sql"] = "select current_setting('temp_directory') as place"
    result = city.build(["mart_court__urgent"])
    assert city.candidate_rows(result, "mart_court__urgent") == [(str(city.lake.scratch() / "spill"),)]


def test_an_interim_result_is_computed_once_for_all_who_read_it_and_gone_with_the_build(city: City) -> None:
    interim = "{{ config(materialized='interim') }}\nselect case_id, random() as dice from {{ ref('stg_court__case') }}"
    city.models |= {
        "models/libraries/int_court__dice.sql": interim,
        "models/libraries/lib_court__one.sql": "select * from {{ ref('int_court__dice') }}",
        "models/libraries/lib_court__two.sql": "select * from {{ ref('int_court__dice') }} where case_id is not null",
    }
    result = city.build(["lib_court__one", "lib_court__two"])
    assert set(result.models) == {"stg_court__case", "int_court__dice", "lib_court__one", "lib_court__two"}
    assert result.models["int_court__dice"].location is None
    one, two = (city.candidate_rows(result, name) for name in ("lib_court__one", "lib_court__two"))
    assert len(one) == 1000
    assert one == two, "it was computed twice"
    assert {path.name for path in city.lake.scratch().rglob("*.parquet")} == set()


def test_an_interim_result_that_fails_skips_who_reads_it_and_is_gone(city: City) -> None:
    interim = "{{ config(materialized='interim') }}\nselect cast(status as int) as n from {{ ref('stg_court__case') }}"
    city.models |= {
        "models/libraries/int_court__dice.sql": interim,
        "models/libraries/lib_court__one.sql": "select * from {{ ref('int_court__dice') }}",
    }
    models = city.build(["lib_court__one"]).models
    assert (models["int_court__dice"].status, models["lib_court__one"].status) == ("error", "skipped")
    assert "int_court__dice" in models["lib_court__one"].message
    assert {path.name for path in city.lake.scratch().rglob("*.parquet")} == set()
