"""A run whose process was killed gives its place in the queue back; a run that lives is left alone."""

import logging
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.launcher import WorkerStatus
from dagster._daemon.auto_run_reexecution.auto_run_reexecution import should_retry
from dagster._daemon.monitoring import run_monitoring
from dagster._daemon.monitoring.run_monitoring import monitor_started_run

from assets import alive
from assets.definitions import build_definitions
from citylake.jobs import DAGSTER_YAML
from pipelines.settings import Settings

HOLD = """
import sys, time
import dagster as dg
from assets.alive import hold
hold(dg.DagsterInstance.get(), sys.argv[1])
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> dg.RepositoryDefinition:
    home = tmp_path_factory.mktemp("alive")
    settings = Settings(home, repository, 0, 0, f"sqlite:///{home / 'register.db'}")
    return build_definitions(settings).get_repository_def()


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    (tmp_path / "dagster.yaml").write_text(DAGSTER_YAML, "utf-8")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with dg.DagsterInstance.get() as instance:
        yield instance


def started(instance: dg.DagsterInstance, job: dg.JobDefinition) -> dg.DagsterRun:
    run = instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTING, tags=job.run_tags)
    about = dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, job.name, message="started")
    instance.report_dagster_event(about, run.run_id, logging.INFO)
    return run


def monitored(instance: dg.DagsterInstance, run: dg.DagsterRun) -> dg.DagsterRunStatus:
    """The status of a run after a look of Dagster's monitoring at it."""
    record = instance.get_run_record_by_id(run.run_id)
    workspace: Any = None  # asked for only by launchers that resume runs
    assert record is not None
    monitor_started_run(instance, workspace, record, logging.getLogger("monitoring"))
    looked_at = instance.get_run_by_id(run.run_id)
    assert looked_at is not None
    return looked_at.status


def will_be_retried(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    failed = instance.get_run_by_id(run.run_id)
    assert failed is not None
    return should_retry(failed, instance)


@pytest.mark.long
@pytest.mark.parametrize("job", ["daily", "freshness"])
def test_the_place_of_a_killed_run_is_free_again(
    jobs: dg.RepositoryDefinition, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, job: str
) -> None:
    """Of jobs that take the lock of the lake, and of others: left alone while it lives, failed after the kill."""
    monkeypatch.setattr(alive, "SECONDS_TO_HOLD", 0)
    run = started(instance, jobs.get_job(job))
    command = [sys.executable, "-c", HOLD, run.run_id]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        assert monitored(instance, run) is dg.DagsterRunStatus.STARTED
        process.send_signal(signal.SIGKILL)
    assert monitored(instance, run) is dg.DagsterRunStatus.FAILURE
    assert will_be_retried(instance, run)


def test_a_run_that_failed_by_itself_is_not_started_again(
    jobs: dg.RepositoryDefinition, instance: dg.DagsterInstance
) -> None:
    run = started(instance, jobs.get_job("daily"))
    instance.report_run_failed(run)
    assert not will_be_retried(instance, run)


@pytest.mark.long
def test_a_run_that_just_started_has_time_to_take_its_lock(
    jobs: dg.RepositoryDefinition, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = started(instance, jobs.get_job("daily"))
    assert instance.run_launcher.check_run_worker_health(run).status is WorkerStatus.RUNNING
    monkeypatch.setattr(alive, "SECONDS_TO_HOLD", 0)
    assert instance.run_launcher.check_run_worker_health(run).status is WorkerStatus.FAILED


def test_every_job_holds_the_lock_of_its_run(jobs: dg.RepositoryDefinition) -> None:
    assert {job.executor_def for job in jobs.get_all_jobs()} == {alive.executor}


def test_jobs_without_the_lock_of_the_lake_have_a_time_limit(jobs: dg.RepositoryDefinition) -> None:
    """One that hangs would keep others from running; one that waits for the lock is patient for so long by itself."""
    limited = {job.name for job in jobs.get_all_jobs() if "dagster/max_runtime" in job.run_tags}
    assert limited == {"freshness", "scores", "corrections", "deadlines", "unusual_reads"}


@pytest.mark.long
def test_a_process_may_take_minutes_to_start(
    jobs: dg.RepositoryDefinition, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a machine that is busy it does; told as failed it would do nothing when it comes. Not for ever."""
    run = instance.create_run_for_job(jobs.get_job("drops"))
    begun = run_monitoring.get_current_timestamp()
    for minutes, status in ((10, dg.DagsterRunStatus.NOT_STARTED), (20, dg.DagsterRunStatus.FAILURE)):
        monkeypatch.setattr(run_monitoring, "get_current_timestamp", lambda later=60 * minutes: begun + later)
        record = instance.get_run_record_by_id(run.run_id)
        assert record is not None
        run_monitoring.monitor_starting_run(instance, record, logging.getLogger())
        left = instance.get_run_by_id(run.run_id)
        assert left is not None and left.status is status
