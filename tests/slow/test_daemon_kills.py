"""kill -9 of Dagster's daemon and of all that it started, in the middle of a run: it is started again, what a day
has scheduled runs by itself, and so does what was killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import dagster as dg
import pytest
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.scheduler.instigation import InstigatorState, ScheduleInstigatorData, TickStatus

from citylake.jobs import prepare_dagster
from pipelines.register.receipts import Receipts
from tests.city import REPOSITORY, Town

pytestmark = pytest.mark.slow
T = TypeVar("T")

DAY = 26 * 3600
PATIENCE = 600
"""Seconds that any step may take, on a busy machine."""
OVER = [TickStatus.SUCCESS, TickStatus.SKIPPED, TickStatus.FAILURE]
EVERY_DAY = {"realtime", "daily", "freshness", "retention", "unusual_reads", "corrections", "deadlines", "scores"}
"""Jobs with a schedule that has a turn in any 26 hours."""
PULLING = {"realtime", "daily", "drops"}
"""Jobs whose runs go on for long after their first receipt."""


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    town = Town(tmp_path_factory.mktemp("daemon"), persons=1_200)
    with town.register() as register:
        register.upgrade()
    with pytest.MonkeyPatch.context() as patch:
        for name in ("DAGSTER_HOME", "CITYLAKE_HOME"):
            patch.setenv(name, "")
        patch.setenv("CITYLAKE_REGISTER", town.settings.register_url)
        prepare_dagster(town.settings)
        yield town
    town.close()


@pytest.fixture(scope="module")
def instance(town: Town) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.get() as instance:
        yield instance


def test_after_a_kill_in_the_middle_of_a_run_others_run(town: Town, instance: dg.DagsterInstance) -> None:
    with daemon(town):
        until(lambda: len(schedules(instance)) >= len(EVERY_DAY))
    a_day_passes(instance)
    with daemon(town):
        killed = until(lambda: [run for run in started(instance, *PULLING) if receipts(town, run)])
    assert {status(instance, run) for run in killed} == {dg.DagsterRunStatus.STARTED}
    a_day_passes(instance)
    with daemon(town):
        others = until(lambda: set(started(instance)) - set(killed))
        assert {status(instance, run) for run in killed} == {dg.DagsterRunStatus.FAILURE}
        again = until(lambda: [run for run in instance.get_runs() if run.parent_run_id in killed])
        until(lambda: {status(instance, run.run_id) for run in again} <= {dg.DagsterRunStatus.SUCCESS})
    assert others and all(not run.step_keys_to_execute for run in again), "they are run whole"


@contextmanager
def daemon(town: Town) -> Iterator[None]:
    """The daemon with its code server, in a session of their own. At the end all of it is killed at once."""
    command = [sys.executable, "-m", "dagster._daemon", "run", "-w", str(REPOSITORY / "workspace.yaml")]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    with (town.settings.home / "logs" / "daemon.log").open("ab") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, env=environment, cwd=town.settings.home, start_new_session=True
        )
    try:
        yield
        assert process.poll() is None, log.name
    finally:
        for one in _of_session(process.pid):
            os.kill(one, signal.SIGKILL)
        process.wait()
        until(lambda: not _of_session(process.pid))


def _of_session(session: int) -> list[int]:
    """Processes of a session that live: the daemon, its code servers and runs."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            state, _, _, own = (folder / "stat").read_text().rpartition(")")[2].split()[:4]
        except OSError:
            continue  # it ended meanwhile
        if int(own) == session and state != "Z":
            found.append(int(folder.name))
    return found


def a_day_passes(instance: dg.DagsterInstance) -> None:
    """While no daemon looks: what schedules had turns for since yesterday was not asked of them yet. What they were
    about to ask for when they were killed they do ask for."""
    for state in schedules(instance):
        instance.purge_ticks(state.instigator_origin_id, state.selector_id, time.time() + 1, OVER)
        assert isinstance(state.instigator_data, ScheduleInstigatorData)
        yesterday = ScheduleInstigatorData(state.instigator_data.cron_schedule, time.time() - DAY)
        instance.update_instigator_state(state.with_data(yesterday))


def schedules(instance: dg.DagsterInstance) -> Sequence[InstigatorState]:
    return instance.all_instigator_state(instigator_type=InstigatorType.SCHEDULE)


def started(instance: dg.DagsterInstance, *jobs: str) -> list[str]:
    runs = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
    return [run.run_id for run in runs if not jobs or run.job_name in jobs]


def status(instance: dg.DagsterInstance, run: str) -> dg.DagsterRunStatus:
    found = instance.get_run_by_id(run)
    assert found is not None
    return found.status


def receipts(town: Town, run: str) -> int:
    """How many steps of a run left a receipt."""
    with town.register() as register:
        return len(Receipts(register, run).of_run(run))


def until(found: Callable[[], T]) -> T:
    """What there is as soon as there is any."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if now := found():
            return now
        time.sleep(0.1)
    raise AssertionError(f"nothing came in {PATIENCE} seconds")
