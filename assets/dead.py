"""Runs whose process was killed: Dagster shows them as started for ever, and they keep the one place of the queue.

Belongs here: telling them as failed, asked by what needs no run itself: schedules and the sensor. Does not belong here:
what a killed run leaves in the lake; the next run clears that away.
"""

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg

from pipelines.lake.errors import RunLocked
from pipelines.lake.lock import LOOK_SECONDS, run_lock
from pipelines.messages import say

WITHOUT_LOCK = {"dagster/max_runtime": "3600"}
"""Tag of jobs that take no run lock, so that the lock says nothing of them: Dagster's monitoring ends them after these
seconds."""
YOUNG = timedelta(minutes=1)
"""A run that changed its state this lately may be on its way to the lock."""
UNDER_WAY = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]


def bury_dead_runs(instance: dg.DagsterInstance, home: Path) -> None:
    """Tell runs as failed that should hold the lock while nobody does.

    The lock is looked at twice: a run that waits for it would have taken it between the looks, one that was just ending
    would have ended.
    """
    if not _under_way(instance) or not _lock_is_free(home):
        return
    time.sleep(4 * LOOK_SECONDS)
    if _lock_is_free(home):
        for run in _under_way(instance):
            instance.report_run_failed(run, say("run.died"))


def _under_way(instance: dg.DagsterInstance) -> Sequence[dg.DagsterRun]:
    old = dg.RunsFilter(statuses=UNDER_WAY, updated_before=datetime.now(UTC) - YOUNG)
    return [run for run in instance.get_runs(old) if not WITHOUT_LOCK.keys() & run.tags.keys()]


def _lock_is_free(home: Path) -> bool:
    try:
        with run_lock(home, "look for dead runs"):
            return True
    except RunLocked:
        return False
