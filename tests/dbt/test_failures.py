"""What a steward is told when models fail, and that a failure harms only what depends on it."""

import re
from pathlib import Path

import pytest
from court import NAMES, City, cases

from pipelines.lake.build import build
from pipelines.lake.errors import BuildFailed
from pipelines.lake.models import models


def test_a_failed_model_skips_only_its_children(city: City) -> None:
    city.models["models/libraries/lib_court__case.sql"] = (
        "select no_such_column from {{ source('core', 'court__case') }}"
    )
    result = city.build()
    status = {name: model.status for name, model in result.models.items()}
    assert status == {
        "lib_court__case": "error",
        "lib_court__day": "success",
        "lib_court__log": "success",
        "mart_court__division": "skipped",
        "mart_court__urgent": "skipped",
        "stg_court__case": "success",
    }
    assert "lib_court__case（models/libraries/lib_court__case.sql）" in result.models["lib_court__case"].message
    assert "no_such_column" in result.models["lib_court__case"].message
    assert "lib_court__case" in result.models["mart_court__division"].message


@pytest.mark.long
@pytest.mark.parametrize(
    ("expression", "told"),
    [("sum(case_id)", "HUGEINT"), ("max(current_timestamp::timestamp)", "TIMESTAMP"), ("max(time '10:00')", "TIME")],
)
def test_a_type_delta_cannot_hold_is_refused_in_words(city: City, expression: str, told: str) -> None:
    city.models["models/marts/mart_court__urgent.sql"] = (
        f"select {expression} as total from {{{{ source('core', 'court__case') }}}}"
    )
    model = city.build(["mart_court__urgent"]).models["mart_court__urgent"]
    assert model.status == "error"
    assert f"mart_court__urgent：列 total 的类型是 {told}，Delta 表不能存放。请改为" in model.message


@pytest.mark.long
def test_changed_columns_ask_for_a_full_refresh(city: City) -> None:
    city.release(city.build())
    city.models["models/libraries/lib_court__log.sql"] = city.models["models/libraries/lib_court__log.sql"].replace(
        "case_id,", "case_id, status,"
    )
    model = city.build(["lib_court__log"]).models["lib_court__log"]
    assert model.status == "error"
    assert "status" in model.message and "--full-refresh" in model.message
    assert city.build(["lib_court__log"], full_refresh=True).models["lib_court__log"].status == "success"


def test_repeated_keys_in_a_merge_are_refused(city: City) -> None:
    city.release(city.build())
    city.models["models/libraries/lib_court__case.sql"] = city.models["models/libraries/lib_court__case.sql"].replace(
        "where place = 1", ""
    )
    city.load("court/case", cases(2, "U", "3"), cases(3, "U", "2"))
    model = city.build(["lib_court__case"]).models["lib_court__case"]
    assert model.status == "error"
    assert "unique_key" in model.message


def test_a_project_that_does_not_parse_is_one_clear_error(city: City) -> None:
    city.models["models/marts/mart_court__urgent.sql"] = "select * from {{ ref('nobody') }}"
    with pytest.raises(BuildFailed, match="nobody"):
        city.build()


@pytest.mark.long
@pytest.mark.parametrize("how", ["gone", "torn"])
def test_lost_files_of_one_table_fail_only_its_readers(city: City, how: str) -> None:
    for file in city.lake.core("court", "division").glob("*.parquet"):
        if how == "gone":
            file.unlink()
        else:
            file.write_bytes(file.read_bytes()[:-9])
    result = city.build()
    failed = {name: model for name, model in result.models.items() if model.status != "success"}
    assert set(failed) == {"mart_court__division"}
    assert re.search(
        r"court__division .*丢失.*\.parquet.* / .*reads court__division", failed["mart_court__division"].message
    )


def test_a_lost_released_table_is_rebuilt_whole_and_fails_other_readers(city: City) -> None:
    first = city.build()
    city.release(first)
    for file in city.lake.released("court", "lib_court__case").glob("*.parquet"):
        file.unlink()
    reader = city.build(["mart_court__division"]).models["mart_court__division"]
    assert (reader.status, "lib_court__case" in reader.message) == ("error", True)
    again = city.build(["lib_court__case"])
    assert city.candidate_rows(again, "lib_court__case") == city.candidate_rows(first, "lib_court__case")


def test_files_lost_after_the_snapshot_are_one_clear_error(city: City) -> None:
    city.build()
    snapshot = city.lake.scratch() / "snapshot.json"
    for file in city.lake.core("court", "division").glob("*.parquet"):
        file.unlink()
    with pytest.raises(BuildFailed, match=r"dbt could not start the build: .*No files found"):
        build(city.project, city.lake, "e9", snapshot, work=city.work, generated=city.models)


@pytest.mark.long
def test_selected_models_bring_their_views_and_read_released_parents(city: City) -> None:
    first = city.build()
    city.release(first)
    city.load("court/case", cases(2, "D", "900"))
    result = city.build(["mart_court__division"])
    assert set(result.models) == {"mart_court__division"}
    assert city.candidate_rows(result, "mart_court__division") == city.candidate_rows(first, "mart_court__division")
    assert set(city.build(["lib_court__day"]).models) == {"lib_court__day", "stg_court__case"}


def test_the_graph_is_parsed_once(city: City, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = models(city.project, tmp_path / "graph", city.models)
    assert set(found) == {*NAMES, "stg_court__case"}
    assert found["lib_court__case"].strategy == "merge"
    assert found["lib_court__case"].library == "court"
    assert found["lib_court__case"].sources == ("core.court__case__log",)
    assert found["mart_court__division"].depends_on == ("lib_court__case",)
    assert found["mart_court__division"].layer == "mart"
    monkeypatch.setattr("pipelines.lake.models.parse", None)
    assert models(city.project, tmp_path / "graph", city.models) == found


def test_a_key_that_is_no_name_is_told_before_anything_is_built(city: City, tmp_path: Path) -> None:
    case = "models/libraries/lib_court__case.sql"
    city.models[case] = "{{ config(key=['case_id']) }} select case_id from {{ source('core', 'court__case') }}"
    with pytest.raises(BuildFailed, match=rf"{case}：config 中的 key 写一个列名.*\['case_id'\]"):
        models(city.project, tmp_path / "graph", city.models)


def test_nothing_is_written_into_the_project(city: City) -> None:
    before = sorted(city.project.rglob("*"))
    city.build()
    assert sorted(city.project.rglob("*")) == before


def test_an_error_tells_no_value_of_a_row(city: City) -> None:
    city.models["models/marts/mart_court__urgent.sql"] = "select cast('342401198504150139' as date) as opened_on"
    failed = city.build(["mart_court__urgent"]).models["mart_court__urgent"]
    assert failed.status == "error"
    assert "342401198504150139" not in failed.message
    assert "mart_court__urgent" in failed.message
