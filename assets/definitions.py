"""Everything Dagster loads: assets, jobs and schedules derived from contracts."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg

from assets.drops import drop_sensor, dropped_sources
from assets.freshness import EVERY_HOUR, freshness_checks
from assets.health import health
from assets.releases import release_assets
from assets.replay import replay_asset
from assets.resources import run_resource
from assets.sources import CADENCES, source_assets, source_key
from pipelines.contracts.dbt import generated
from pipelines.contracts.load import Contracts, load
from pipelines.lake.models import Model, models
from pipelines.messages import say
from pipelines.settings import Settings

CITY_JOB = "city"
"""The main job: every source, everything built from them."""

CRON = {
    "每日": "0 2 * * *",
    "每周": "0 3 * * 1",
    "每月": "0 4 1 * *",
    "每季度": "0 4 1 1,4,7,10 *",
    "每半年": "0 4 1 1,7 *",
    "每年": "0 4 1 1 *",
}
"""When sources of a cycle are pulled, in the city's time; 实时 and 不定期 have no schedule."""


def build_definitions(settings: Settings) -> dg.Definitions:
    """The definitions of one installation. Raises CitylakeError for bad contracts."""
    contracts = load(settings.contracts)
    graph = _graph(settings, contracts)
    sources = source_assets(contracts)
    published = [release_assets(contracts, graph), health]
    executor = dg.in_process_executor  # a step in a process of its own would pay the imports again
    replay, freshness = replay_asset(contracts), freshness_checks(contracts)
    everything = dg.AssetSelection.assets(*sources, *published)
    job = dg.define_asset_job(CITY_JOB, selection=everything, executor_def=executor, description=say("dagster.city"))
    jobs, schedules = _cadences(contracts, executor, dg.AssetSelection.assets(*published))
    drops = [source_key(source.id) for source in dropped_sources(contracts)]
    drops_job = dg.define_asset_job(
        "drops",
        selection=dg.AssetSelection.assets(*drops, *published),
        executor_def=executor,
        description=say("dagster.drops"),
    )
    watch = dg.define_asset_job(
        "freshness",
        selection=dg.AssetSelection.checks(freshness),
        executor_def=executor,
        description=say("dagster.freshness"),
    )
    return dg.Definitions(
        assets=[*sources, *published, replay],
        asset_checks=[freshness],
        jobs=[job, *jobs, drops_job, watch],
        schedules=[*schedules, _hourly(watch, contracts)],
        sensors=[drop_sensor(contracts, settings, drops_job)],
        resources={"run": run_resource},
        executor=executor,
    )


def _hourly(job: Any, contracts: Contracts) -> dg.ScheduleDefinition:
    return dg.ScheduleDefinition(
        name="freshness_schedule",
        job=job,
        cron_schedule=EVERY_HOUR,
        execution_timezone=contracts.city.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=say("dagster.freshness"),
    )


def _graph(settings: Settings, contracts: Contracts) -> Mapping[str, Model]:
    cache = settings.home / "dbt"
    Path(cache).mkdir(parents=True, exist_ok=True)
    today = datetime.now(ZoneInfo(contracts.city.timezone)).date()
    return models(settings.dbt_project, cache, generated(contracts, today))


def _cadences(
    contracts: Contracts, executor: dg.ExecutorDefinition, published: dg.AssetSelection
) -> tuple[list[Any], list[dg.ScheduleDefinition]]:
    """A job and a schedule for each update cycle that sources have: those sources, then all that can be published."""
    jobs, schedules = [], []
    for cycle, cron in CRON.items():
        keys = [source_key(s.id) for s in contracts.sources.values() if s.form.slaProperties.frequency == cycle]
        if not keys:
            continue
        name = CADENCES[cycle].replace("-", "_")
        selection = dg.AssetSelection.assets(*keys) | published
        job = dg.define_asset_job(
            name, selection=selection, executor_def=executor, description=say("dagster.cadence", cycle=cycle)
        )
        jobs.append(job)
        schedules.append(
            dg.ScheduleDefinition(
                name=f"{name}_schedule",
                job=job,
                cron_schedule=cron,
                execution_timezone=contracts.city.timezone,
                default_status=dg.DefaultScheduleStatus.RUNNING,
                description=say("dagster.schedule", cycle=cycle, cron=cron),
            )
        )
    return jobs, schedules


defs = build_definitions(Settings.from_environment())
