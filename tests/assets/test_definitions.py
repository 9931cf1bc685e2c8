"""The Dagster definitions load, resolve every job, and say everything in Chinese to the steward."""

import re
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from assets.definitions import RIDES, build_definitions
from assets.releases import model_key, product_key
from assets.sources import CADENCES, source_key
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
    cadences = {"realtime", "daily", "weekly", "monthly", "half_yearly", "yearly"}
    assert jobs >= {"city", *cadences, "drops", "freshness", "retention"}
    schedules = {schedule.job_name: schedule.cron_schedule for schedule in repository.schedule_defs}
    assert schedules["daily"] == "0 2 * * *" and schedules["yearly"] == "0 4 1 1 *"
    assert schedules["freshness"] == "15 * * * *" and schedules["retention"] == "30 5 * * *"
    assert [sensor.name for sensor in repository.sensor_defs] == ["file_drops"]


def test_every_source_is_pulled_without_anybody_asking(definitions: dg.Definitions, contracts: Contracts) -> None:
    """By the schedule of its cycle; what is dropped also when it is dropped."""
    repository = definitions.get_repository_def()
    scheduled = {schedule.job_name for schedule in repository.schedule_defs}
    pulled = {
        job: {key for key in repository.get_job(job).asset_layer.executable_asset_keys if key.path[0] == "core"}
        for job in scheduled
    }
    assert set().union(*pulled.values()) == {source_key(name) for name in contracts.sources}
    for name, source in contracts.sources.items():
        cycle = source.form.slaProperties.frequency
        job = CADENCES[RIDES.get(cycle, cycle)].replace("-", "_")
        assert {other for other, keys in pulled.items() if source_key(name) in keys} == {job}
    assert source_key("eeb/air_station_hour") in pulled["realtime"]
    assert source_key("eeb/aqi_breakpoint") in pulled["daily"]


def test_schedules_are_named_described_and_in_the_time_of_the_city(
    definitions: dg.Definitions, contracts: Contracts
) -> None:
    for schedule in definitions.get_repository_def().schedule_defs:
        assert schedule.name == f"{schedule.job_name}_schedule"
        assert CHINESE.search(schedule.description or "")
        assert schedule.execution_timezone == contracts.city.timezone
        assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING


@pytest.mark.long
@pytest.mark.parametrize(
    ("job", "status", "asks"),
    [
        ("realtime", dg.DagsterRunStatus.NOT_STARTED, False),
        ("realtime", dg.DagsterRunStatus.STARTED, False),
        ("realtime", dg.DagsterRunStatus.SUCCESS, True),
        ("daily", dg.DagsterRunStatus.STARTED, True),
    ],
)
def test_runs_of_a_schedule_do_not_pile_up(
    definitions: dg.Definitions, job: str, status: dg.DagsterRunStatus, asks: bool, tmp_path: Path
) -> None:
    """While a run of the same job waits for the lock or goes, no other is asked for."""
    repository = definitions.get_repository_def()
    schedule = repository.get_schedule_def("realtime_schedule")
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        instance.create_run_for_job(repository.get_job(job), status=status)
        with dg.build_schedule_context(instance, scheduled_execution_time=datetime.now(UTC)) as context:
            asked = schedule.evaluate_tick(context)
    assert len(asked.run_requests or []) == asks
    assert asks or "还在等待或进行" in (asked.skip_message or "")


def test_every_dataset_of_the_contracts_is_an_asset(definitions: dg.Definitions, contracts: Contracts) -> None:
    keys = {spec.key for spec in definitions.resolve_all_asset_specs()}
    expected = {source_key(name) for name in contracts.sources}
    expected |= {model_key(contract) for contract in contracts.models.values()}
    expected |= {product_key(product) for product in contracts.products.values()}
    assert expected <= keys
    assert keys - expected == {
        dg.AssetKey([name])
        for name in (
            "marts",
            "linkage",
            "edition",
            "health",
            "ahead",
            "replay",
            "ended",
            "measured",
            "month_reports",
            "anomalies",
            "notices_of_corrections",
            "overdue_issues",
        )
    }


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
    assert upstream == expected | {model_key(contracts.models["lib_geography__division"]), dg.AssetKey(["linkage"])}
    product = specs[product_key(contracts.products["sharing/person_of_division"])]
    assert {dep.asset_key for dep in product.deps} == {person}
