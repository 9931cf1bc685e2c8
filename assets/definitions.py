"""Everything Dagster loads: assets, jobs and schedules derived from contracts."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg

from assets.deliveries import delivery_assets
from assets.drops import drop_sensor, dropped_sources
from assets.freshness import EVERY_HOUR, freshness_checks
from assets.health import health
from assets.releases import release_assets
from assets.replay import replay_asset
from assets.reports import EVENING, FIRST_OF_MONTH, measured, month_reports
from assets.resources import PATIENCE, run_resource
from assets.retention import EVERY_DAY, JOB, ended
from assets.sources import CADENCES, source_assets, source_key
from pipelines.contracts.dbt import generated
from pipelines.contracts.load import Contracts, load
from pipelines.lake.models import Model, models
from pipelines.messages import say
from pipelines.settings import Settings

CITY_JOB = "city"
"""The main job: every source, everything built from them."""

CRON = {
    "实时": "*/10 * * * *",
    "每日": "0 2 * * *",
    "每周": "0 3 * * 1",
    "每月": "0 4 1 * *",
    "每季度": "0 4 1 1,4,7,10 *",
    "每半年": "0 4 1 1,7 *",
    "每年": "0 4 1 1 *",
}
"""When sources of a cycle are pulled, in the city's time."""

RIDES = {"不定期": "每日"}
"""Cycles without a time of their own: their sources are asked with those of another."""

UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]
DEAD = timedelta(seconds=2 * PATIENCE)
"""A run that did not end after this time keeps no other from starting: it may have been killed."""


def build_definitions(settings: Settings) -> dg.Definitions:
    """The definitions of one installation. Raises CitylakeError for bad contracts."""
    contracts = load(settings.contracts)
    graph = _graph(settings, contracts)
    sources = source_assets(contracts)
    published = [release_assets(contracts, graph), health, *delivery_assets(contracts)]
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
    hourly = _schedule(watch, EVERY_HOUR, contracts.city.timezone, say("dagster.freshness"))
    ending = dg.define_asset_job(
        JOB,
        selection=dg.AssetSelection.assets(ended),
        executor_def=executor,
        description=say("dagster.retention"),
    )
    nightly = _schedule(ending, EVERY_DAY, contracts.city.timezone, say("dagster.retention"))
    scoring = dg.define_asset_job(
        "scores",
        selection=dg.AssetSelection.assets(measured),
        executor_def=executor,
        description=say("dagster.scores"),
    )
    evening = _schedule(scoring, EVENING, contracts.city.timezone, say("dagster.scores"))
    reporting = dg.define_asset_job(
        "reports",
        selection=dg.AssetSelection.assets(month_reports),
        executor_def=executor,
        description=say("dagster.month_reports"),
    )
    of_month = _schedule(reporting, FIRST_OF_MONTH, contracts.city.timezone, say("dagster.month_reports"))
    return dg.Definitions(
        assets=[*sources, *published, replay, ended, measured, month_reports],
        asset_checks=[freshness],
        jobs=[job, *jobs, drops_job, watch, ending, scoring, reporting],
        schedules=[*schedules, hourly, nightly, evening, of_month],
        sensors=[drop_sensor(contracts, settings, drops_job)],
        resources={"run": run_resource},
        executor=executor,
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
        cycles = [cycle, *(rider for rider, carrier in RIDES.items() if carrier == cycle)]
        keys = [source_key(s.id) for s in contracts.sources.values() if s.form.slaProperties.frequency in cycles]
        if not keys:
            continue
        named = "、".join(cycles)
        job = dg.define_asset_job(
            CADENCES[cycle].replace("-", "_"),
            selection=dg.AssetSelection.assets(*keys) | published,
            executor_def=executor,
            description=say("dagster.cadence", cycle=named),
        )
        jobs.append(job)
        schedules.append(_schedule(job, cron, contracts.city.timezone, say("dagster.schedule", cycle=named, cron=cron)))
    return jobs, schedules


def _schedule(job: Any, cron: str, timezone: str, description: str) -> dg.ScheduleDefinition:
    """A schedule whose runs do not pile up: none is asked for while one of the same job waits or goes.

    A run that meets another one's lock waits for it by itself.
    """

    def ask(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        recent = dg.RunsFilter(job_name=job.name, statuses=UNFINISHED, created_after=datetime.now(UTC) - DEAD)
        if context.instance.get_runs_count(recent):
            return dg.SkipReason(say("dagster.still_going", job=job.name))
        return dg.RunRequest()

    return dg.ScheduleDefinition(
        name=f"{job.name}_schedule",
        job=job,
        cron_schedule=cron,
        execution_fn=ask,
        execution_timezone=timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=description,
    )


defs = build_definitions(Settings.from_environment())
