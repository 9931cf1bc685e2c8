"""Everything Dagster loads: assets, jobs and schedules derived from contracts."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg

from assets.ahead import ahead
from assets.alive import executor
from assets.anomalies import EARLY, anomalies
from assets.corrections import MORNING, corrections
from assets.deliveries import delivery_assets
from assets.drops import drop_sensor, dropped_sources
from assets.freshness import EVERY_HOUR, freshness_checks
from assets.health import health
from assets.overdue import NIGHT, overdue
from assets.releases import release_assets
from assets.replay import replay_asset
from assets.reports import EVENING, FIRST_OF_MONTH, measured, month_reports
from assets.resources import run_resource
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
SHORT = {"dagster/max_runtime": "3600"}
"""Tag of jobs that take no lock of the lake and read the register only: one that hangs is ended after these seconds."""


@dataclass(frozen=True)
class Timetable:
    """Jobs, and the schedules that start some of them, by the city's clock."""

    timezone: str
    jobs: list[Any] = field(default_factory=list)
    schedules: list[dg.ScheduleDefinition] = field(default_factory=list)

    def job(
        self,
        name: str,
        what: dg.AssetSelection,
        description: str,
        cron: str | None = None,
        when: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> Any:
        """A job, started by `cron` if given; `when` describes the schedule if the job's description does not."""
        job = dg.define_asset_job(name, selection=what, executor_def=executor, description=description, tags=tags)
        self.jobs.append(job)
        if cron is not None:
            self.schedules.append(_schedule(job, cron, self.timezone, when or description))
        return job


def build_definitions(settings: Settings) -> dg.Definitions:
    """The definitions of one installation. Raises CitylakeError for bad contracts."""
    contracts = load(settings.contracts)
    sources = source_assets(contracts)
    published = [release_assets(contracts, _graph(settings, contracts)), health, ahead, *delivery_assets(contracts)]
    freshness, own = freshness_checks(contracts), [ended, measured, month_reports, anomalies, corrections, overdue]
    select, table = dg.AssetSelection.assets, Timetable(contracts.city.timezone)
    table.job(CITY_JOB, select(*sources, *published), say("dagster.city"))
    _cadences(table, contracts, select(*published))
    dropped = [source_key(source.id) for source in dropped_sources(contracts)]
    drops = table.job("drops", select(*dropped, *published), say("dagster.drops"))
    table.job("freshness", dg.AssetSelection.checks(freshness), say("dagster.freshness"), EVERY_HOUR, tags=SHORT)
    table.job(JOB, select(ended), say("dagster.retention"), EVERY_DAY)
    table.job("unusual_reads", select(anomalies), say("dagster.anomalies"), EARLY, tags=SHORT)
    table.job("corrections", select(corrections), say("dagster.corrections"), MORNING, tags=SHORT)
    table.job("deadlines", select(overdue), say("dagster.overdue"), NIGHT, tags=SHORT)
    table.job("scores", select(measured), say("dagster.scores"), EVENING, tags=SHORT)
    table.job("reports", select(month_reports), say("dagster.month_reports"), FIRST_OF_MONTH)
    return dg.Definitions(
        assets=[*sources, *published, replay_asset(contracts), *own],
        asset_checks=[freshness],
        jobs=table.jobs,
        schedules=table.schedules,
        sensors=[drop_sensor(contracts, settings, drops)],
        resources={"run": run_resource},
        executor=executor,
    )


def _graph(settings: Settings, contracts: Contracts) -> Mapping[str, Model]:
    cache = settings.home / "dbt"
    Path(cache).mkdir(parents=True, exist_ok=True)
    today = datetime.now(ZoneInfo(contracts.city.timezone)).date()
    return models(settings.dbt_project, cache, generated(contracts, today))


def _cadences(table: Timetable, contracts: Contracts, published: dg.AssetSelection) -> None:
    """A job and a schedule for each update cycle that sources have: those sources, then all that can be published."""
    for cycle, cron in CRON.items():
        cycles = [cycle, *(rider for rider, carrier in RIDES.items() if carrier == cycle)]
        keys = [source_key(s.id) for s in contracts.sources.values() if s.form.slaProperties.frequency in cycles]
        if not keys:
            continue
        named, name = "、".join(cycles), CADENCES[cycle].replace("-", "_")
        selection = dg.AssetSelection.assets(*keys) | published
        when = say("dagster.schedule", cycle=named, cron=cron)
        table.job(name, selection, say("dagster.cadence", cycle=named), cron, when)


def _schedule(job: Any, cron: str, timezone: str, description: str) -> dg.ScheduleDefinition:
    """A schedule whose runs do not pile up: none is asked for while one of the same job waits or goes.

    A run that meets another one's lock waits for it by itself.
    """

    def ask(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        if context.instance.get_runs_count(dg.RunsFilter(job_name=job.name, statuses=UNFINISHED)):
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
