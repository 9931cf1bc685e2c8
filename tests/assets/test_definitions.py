"""The Dagster definitions load, resolve every job, and say everything in Chinese to the steward."""

import re
from pathlib import Path

import dagster as dg
import pytest

from assets.definitions import build_definitions
from assets.releases import model_key, product_key
from assets.sources import source_key
from pipelines.contracts.load import Contracts
from pipelines.settings import Settings

CHINESE = re.compile(r"[\u4e00-\u9fff]")


@pytest.fixture(scope="module")
def definitions(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> dg.Definitions:
    home = tmp_path_factory.mktemp("definitions")
    return build_definitions(Settings(home, repository, 0, 0, f"sqlite:///{home / 'register.db'}"))


def test_every_job_and_schedule_resolves(definitions: dg.Definitions) -> None:
    dg.Definitions.validate_loadable(definitions)
    repository = definitions.get_repository_def()
    jobs = {job.name for job in repository.get_all_jobs()}
    assert {"city", "daily", "weekly", "monthly", "half_yearly", "yearly", "drops", "freshness"} <= jobs
    schedules = {schedule.job_name: schedule.cron_schedule for schedule in repository.schedule_defs}
    assert schedules["daily"] == "0 2 * * *" and schedules["yearly"] == "0 4 1 1 *"
    assert schedules["freshness"] == "15 * * * *"
    assert [sensor.name for sensor in repository.sensor_defs] == ["file_drops"]


def test_every_dataset_of_the_contracts_is_an_asset(definitions: dg.Definitions, contracts: Contracts) -> None:
    keys = {spec.key for spec in definitions.resolve_all_asset_specs()}
    expected = {source_key(name) for name in contracts.sources}
    expected |= {model_key(contract) for contract in contracts.models.values()}
    expected |= {product_key(product) for product in contracts.products.values()}
    assert expected <= keys
    assert keys - expected == {dg.AssetKey([name]) for name in ("marts", "edition", "health", "replay")}


def test_assets_are_described_in_chinese_and_show_their_columns(
    definitions: dg.Definitions, contracts: Contracts
) -> None:
    specs = {spec.key: spec for spec in definitions.resolve_all_asset_specs()}
    assert all(CHINESE.search(spec.description or "") for spec in specs.values())
    person = specs[source_key("psb/household_person")]
    schema = person.metadata["dagster/column_schema"]
    assert [column.name for column in schema.columns] == [
        column.name for column in contracts.sources["psb/household_person"].all_columns
    ]


def test_lineage_runs_from_source_to_product(definitions: dg.Definitions, contracts: Contracts) -> None:
    specs = {spec.key: spec for spec in definitions.resolve_all_asset_specs()}
    person = model_key(contracts.models["lib_population__person"])
    upstream = {dep.asset_key for dep in specs[person].deps}
    departments = ("psb/household_person", "psb/floating_person", "cab/marriage", "cab/cremation")
    others = ("hrssb/insurance", "hc/health_record")
    expected = {source_key(name) for name in (*departments, *others)}
    assert upstream == expected | {model_key(contracts.models["lib_geography__division"])}
    product = specs[product_key(contracts.products["sharing/person_of_division"])]
    assert {dep.asset_key for dep in product.deps} == {person}
