"""Every strategy of the `delta` materialisation on DuckDB: full, unchanged, incremental, deletes, empty models."""

from court import NAMES, City, cases


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
