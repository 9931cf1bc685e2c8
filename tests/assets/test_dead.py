"""A run whose process was killed gives its place in the queue back; a run that lives is left alone."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest
import yaml

from assets import dead
from assets.definitions import build_definitions
from citylake.jobs import DAGSTER_YAML
from pipelines.settings import Settings

HOLD = """
import sys, time
from pathlib import Path
from pipelines.lake.lock import run_lock
with run_lock(Path(sys.argv[1]), "a run"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Settings:
    home = tmp_path_factory.mktemp("dead")
    return Settings(home, repository, 0, 0, f"sqlite:///{home / 'register.db'}")


@pytest.fixture(scope="module")
def repository_def(settings: Settings) -> dg.RepositoryDefinition:
    return build_definitions(settings).get_repository_def()


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    monkeypatch.setattr(dead, "YOUNG", timedelta(0))
    monkeypatch.setattr(dead, "LOOK_SECONDS", 0.01)
    with dg.DagsterInstance.local_temp(str(tmp_path), overrides=yaml.safe_load(DAGSTER_YAML)) as instance:
        yield instance


def look(repository_def: dg.RepositoryDefinition, instance: dg.DagsterInstance, by: str) -> None:
    """One evaluation by the daemon, of a schedule or of the sensor."""
    if by == "file_drops":
        with dg.build_sensor_context(instance) as sensor:
            repository_def.get_sensor_def(by).evaluate_tick(sensor)
        return
    with dg.build_schedule_context(instance) as schedule:
        repository_def.get_schedule_def(by).evaluate_tick(schedule)


@pytest.mark.parametrize("by", ["file_drops", "realtime_schedule"])
def test_the_place_of_a_killed_run_is_free_again(
    settings: Settings, repository_def: dg.RepositoryDefinition, instance: dg.DagsterInstance, by: str
) -> None:
    """While its process holds the lock the run is left; after the kill it is failed."""
    started = instance.create_run_for_job(repository_def.get_job("retention"), status=dg.DagsterRunStatus.STARTED)
    command = [sys.executable, "-c", HOLD, str(settings.home)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        look(repository_def, instance, by)
        assert instance.get_runs_count(dg.RunsFilter(statuses=dead.UNDER_WAY)) == 1
        holder.send_signal(signal.SIGKILL)
    look(repository_def, instance, by)
    buried = instance.get_run_by_id(started.run_id)
    assert buried is not None and buried.status is dg.DagsterRunStatus.FAILURE
    assert not instance.get_runs_count(dg.RunsFilter(statuses=dead.UNDER_WAY))


@pytest.mark.parametrize("job", ["freshness", "scores", "corrections", "deadlines", "unusual_reads"])
def test_a_run_without_the_lock_is_left_to_its_time_limit(
    settings: Settings, repository_def: dg.RepositoryDefinition, instance: dg.DagsterInstance, job: str
) -> None:
    definition = repository_def.get_job(job)
    live = instance.create_run_for_job(definition, status=dg.DagsterRunStatus.STARTED, tags=definition.run_tags)
    dead.bury_dead_runs(instance, settings.home)
    left = instance.get_run_by_id(live.run_id)
    assert left is not None and left.status is dg.DagsterRunStatus.STARTED
    assert instance.run_monitoring_enabled and float(live.tags["dagster/max_runtime"]) > 0


def test_a_run_that_waits_for_the_lock_takes_it_between_the_looks(
    settings: Settings,
    repository_def: dg.RepositoryDefinition,
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waiting = instance.create_run_for_job(repository_def.get_job("daily"), status=dg.DagsterRunStatus.STARTED)
    looks = iter([True, False])
    monkeypatch.setattr(dead, "_lock_is_free", lambda home: next(looks))
    dead.bury_dead_runs(instance, settings.home)
    left = instance.get_run_by_id(waiting.run_id)
    assert left is not None and left.status is dg.DagsterRunStatus.STARTED
