"""Exported contracts are complete ODCS 3.2 documents."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml
from jsonschema.validators import validator_for

from pipelines.contracts import export
from pipelines.contracts.export_quality import rule_entry
from pipelines.contracts.resolved import Contracts, ProductContract, SourceContract
from pipelines.contracts.rules import Rule

OFFICIAL = Path(__file__).parents[3] / "shared/conformance/odcs-3.2.0.schema.json"


def every(contracts: Contracts) -> Iterator[SourceContract | ProductContract]:
    yield from contracts.sources.values()
    yield from contracts.models.values()


def custom(part: dict[str, Any]) -> dict[str, Any]:
    return {item["property"]: item["value"] for item in part["customProperties"]}


@pytest.fixture(scope="module")
def source(small: Contracts) -> dict[str, Any]:
    return export.render(small.sources["psb/person"], small)


@pytest.fixture(scope="module")
def product(small: Contracts) -> dict[str, Any]:
    return export.render(small.models["lib_population__person"], small)


def by_name(document: dict[str, Any], index: int = 0) -> dict[str, Any]:
    return {column["name"]: column for column in document["schema"][index]["properties"]}


@pytest.mark.long
@pytest.mark.parametrize("city_name", ["small", "real"])
def test_it_passes_the_official_schema(city_name: str, request: pytest.FixtureRequest) -> None:
    if not OFFICIAL.is_file():
        pytest.skip("conformance material is not there")
    schema = json.loads(OFFICIAL.read_text("utf-8"))
    contracts: Contracts = request.getfixturevalue(city_name)
    for contract in every(contracts):
        problems = validator_for(schema)(schema).iter_errors(export.render(contract, contracts))
        assert [problem.message for problem in problems] == []


def test_the_text_reads_back_as_the_document(small: Contracts) -> None:
    for contract in every(small):
        text = export.text(contract, small)
        assert yaml.safe_load(text) == export.render(contract, small)
        assert "&id" not in text and "\\u" not in text


@pytest.mark.long
def test_it_does_not_change_by_itself(small: Contracts, real: Contracts) -> None:
    for contract in every(real):
        text = export.text(contract, real)
        assert export.text(contract, real) == text
        assert "20" + "26-" not in text


def test_a_source_tells_what_odcs_has_no_slot_for(source: dict[str, Any]) -> None:
    about = custom(source)
    assert about["loadMode"] == "snapshot_diff"
    assert about["deletionCeiling"] == 0.02
    assert about["volumeFloor"] == 0.9
    assert about["connector"] == {"database": {"connection": "psb", "table": "hz.T_RK"}}
    assert about["ignoredColumns"] == ["BZ"]
    assert about["securityLevel"] == 4


def test_a_product_tells_the_catalogue_elements(product: dict[str, Any]) -> None:
    about = custom(product)
    assert about["catalogueCode"] == "101001/000001"
    assert about["shareType"] == "有条件共享"
    assert about["shareCondition"] == "凭职责申请"
    assert about["openType"] == "不予开放"
    assert about["openLegalBasis"] == "个人信息保护法"


def test_a_column_tells_key_level_steps_and_codes(source: dict[str, Any]) -> None:
    columns = by_name(source)
    assert (columns["record_no"]["primaryKey"], columns["record_no"]["primaryKeyPosition"]) == (True, 1)
    assert columns["id_number"]["classification"] == "L4"
    assert columns["id_number"]["physicalName"] == "GMSFHM"
    assert custom(columns["id_number"])["cleanSteps"] == ["trim", "half_width", "upper", "gb11643_upgrade"]
    assert columns["sex"]["enum"][1] == {"value": "1", "label": "男"}
    assert columns["person_id"]["transformSourceObjects"] == ["id_number"]
    assert columns["birth_date"]["logicalTypeOptions"] == {"minimum": "1900-01-01"}
    assert custom(columns["birth_date"])["relativeMaximum"] == "today"


def test_masks_stand_with_the_column_and_with_the_channel(product: dict[str, Any]) -> None:
    assert custom(by_name(product)["person_id"])["masks"] == {"sharing": {"as": "person_ref", "mask": "pseudonym"}}
    assert custom(by_name(product)["sex"])["masks"] == {"sharing": {"as": "sex", "mask": "none"}}
    shown = by_name(product, 1)
    assert list(shown) == ["person_ref", "id_number", "name", "birth_year", "sex", "division_code"]
    assert shown["id_number"]["classification"] == "L3"
    assert shown["birth_year"]["transformLogic"] == "year"
    assert custom(product["schema"][1])["rowPredicate"] == {"column": "division_code", "within": "grant"}


def test_every_rule_is_a_quality_entry_with_a_dimension(small: Contracts, real: Contracts) -> None:
    for contracts in (small, real):
        for contract in every(contracts):
            table = export.render(contract, contracts)["schema"][0]
            entries = [*table.get("quality", [])]
            for column in table["properties"]:
                entries += column.get("quality", [])
            assert {entry["name"] for entry in entries} == {rule.id for rule in contract.rules}
            assert all("dimension" in entry and custom(entry)["dimensionGB"] for entry in entries)
            ids = [entry["id"] for entry in entries]
            assert len(ids) == len(set(ids))


def test_rules_use_the_metric_odcs_has(product: dict[str, Any], source: dict[str, Any]) -> None:
    entries = {entry["name"]: entry for entry in product["schema"][0]["quality"]}
    assert (entries["row_count"]["metric"], entries["row_count"]["mustBeGreaterOrEqualTo"]) == ("rowCount", 1)
    assert entries["volume_change"]["implementation"] == {"volume_change": {"maximum": 0.05}}
    assert entries["unique(person_id)"]["dimension"] == "uniqueness"
    columns = by_name(source)
    birth = {entry["name"]: entry for entry in columns["birth_date"]["quality"]}
    assert "current_date + 0" in birth["birth_date.between"]["query"]
    assert custom(birth["birth_date.between"])["onFail"] == "quarantine"
    numbers = {entry["name"]: entry for entry in columns["id_number"]["quality"]}
    digit = numbers["id_number.gb11643_check_digit"]  # only citylake knows the function
    assert (digit["type"], digit["engine"]) == ("custom", "citylake") and "rowPredicate" not in custom(digit)
    sexes = {entry["name"]: entry for entry in columns["sex"]["quality"]}
    assert sexes["sex.in_codes"]["arguments"] == {"validValues": ["0", "1", "2", "9"]}


def test_a_rule_about_two_columns_is_a_query_that_runs(small: Contracts) -> None:
    rule = Rule("ordered", "ordered", ("a", "b"), {"earlier": "a", "later": "b"})
    entry = rule_entry(rule, small, "quarantine")
    query = entry["query"].format(object="(SELECT DATE '2026-11-24' AS a, TIMESTAMPTZ '2026-11-23 16:00:00Z' AS b)")
    assert duckdb.execute(query).fetchone() == (0,)  # midnight in the city
    assert (entry["dimension"], custom(entry)["kind"]) == ("consistency", "consistency")


def test_a_long_code_list_is_named_not_spelt_out(real: Contracts) -> None:
    column = by_name(export.render(real.sources["psb/household_person"], real))["division_code"]
    assert "enum" not in column
    entry = next(entry for entry in column["quality"] if entry["name"] == "division_code.in_codes")
    assert entry["implementation"] == {"in_codes": {"column": "division_code", "codes": "divisions"}}


def test_files_are_written_by_id(small: Contracts, tmp_path: Path) -> None:
    paths = export.write(small, tmp_path)
    assert sorted(str(path.relative_to(tmp_path)) for path in paths) == [
        "products/population/count.odcs.yaml",
        "products/population/person.odcs.yaml",
        "sources/psb/person.odcs.yaml",
    ]
    assert all(path.read_text("utf-8").startswith("apiVersion: v3.2.0") for path in paths)
