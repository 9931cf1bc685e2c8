"""Whether the process of a run lives: Dagster's launcher cannot tell, and shows a killed run as started for ever, while
it keeps the one place of the queue.

Belongs here: the lock that each run holds, who takes it, and the launcher by which Dagster's monitoring asks for it.
Does not belong here: the lock of the lake, for which runs wait; what a killed run leaves there, which the next clears.
"""

import atexit
import fcntl
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
from dagster._core.execution.context.system import PlanOrchestrationContext
from dagster._core.execution.plan.plan import ExecutionPlan
from dagster._core.execution.retries import RetryMode
from dagster._core.executor.in_process import InProcessExecutor
from dagster._core.launcher import CheckRunHealthResult, DefaultRunLauncher, WorkerStatus

from pipelines.messages import say

AGAIN = {"dagster/max_retries": "2", "dagster/retry_strategy": "ALL_STEPS"}
"""Tags of a run whose process died: Dagster starts it anew, whole, for what stands is not done twice. One that failed
by itself is not: what failed was told, and would fail again."""
SECONDS_TO_HOLD = 30
"""A run that Dagster says started this lately may be about to take its lock, which is the next that it does."""


def hold(instance: dg.DagsterInstance, run_id: str) -> None:
    """Hold the lock of a run until this process ends, in whatever way: the kernel gives it back, after Dagster was told
    how the run ended, if it was."""
    path = _lock(instance, run_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("w")
    fcntl.flock(file, fcntl.LOCK_EX)
    atexit.register(file.close)


class Executor(InProcessExecutor):
    """All steps in the process of the run, which holds its lock."""

    def execute(
        self, plan_context: PlanOrchestrationContext, execution_plan: ExecutionPlan
    ) -> Iterator[dg.DagsterEvent]:
        """The events of the run."""
        hold(plan_context.instance, plan_context.run_id)
        yield from super().execute(plan_context, execution_plan)


@dg.executor(name="in_process")
def executor(_: dg.InitExecutorContext) -> Executor:
    """The executor of all jobs: a step in a process of its own would pay the imports again."""
    return Executor(RetryMode.ENABLED)


class Launcher(DefaultRunLauncher):
    """Dagster's own launcher, which starts a process for each run; this one is asked whether that process lives."""

    supports_check_run_worker_health = True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Running while the lock of the run is held. One that is dead is marked to be started again."""
        record = self._instance.get_run_record_by_id(run.run_id)
        started = record.start_time if record else None
        young = started is not None and time.time() - started < SECONDS_TO_HOLD
        if young or _held(_lock(self._instance, run.run_id)):
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        self._instance.add_run_tags(run.run_id, AGAIN)
        return CheckRunHealthResult(WorkerStatus.FAILED, say("run.died"))


def _held(path: Path) -> bool:
    if not path.exists():
        return False
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _lock(instance: dg.DagsterInstance, run_id: str) -> Path:
    """Beside what else Dagster keeps of a run."""
    return Path(instance.storage_directory()) / run_id / "alive.lock"
