"""Starting Dagster jobs from the command line, in this process, with progress told from receipts."""

import os
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from pipelines.messages import say, translate
from pipelines.register import Register
from pipelines.register.receipts import Receipt, Receipts
from pipelines.settings import Settings

if TYPE_CHECKING:
    import dagster as dg

DAGSTER_YAML = """\
# Written by citylake. No telemetry, no newsletter dialogue; one run at a time, because a run holds the lake's lock.
telemetry: {enabled: false}
nux: {enabled: false}
concurrency: {runs: {max_concurrent_runs: 1}}
"""


def prepare_dagster(settings: Settings) -> None:
    """Make DAGSTER_HOME below the home of this installation and point this process and its children to it."""
    folder = settings.home / "dagster"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dagster.yaml").write_text(DAGSTER_YAML, "utf-8")
    os.environ["DAGSTER_HOME"] = str(folder)
    os.environ["CITYLAKE_HOME"] = str(settings.home)


def run_job(settings: Settings, job: str) -> tuple[str, bool]:
    """Run a job of the definitions; returns its run id and whether it succeeded. Raises RunLocked."""
    prepare_dagster(settings)
    settings.prepare()
    import dagster as dg  # 1.6 CPU seconds: only commands that run jobs pay them

    from assets.definitions import defs

    run_id = str(uuid.uuid4())
    with dg.DagsterInstance.get() as instance, _progress(settings, run_id):
        _bury_dead_runs(instance)
        result = defs.resolve_job_def(job).execute_in_process(
            instance=instance,
            run_id=run_id,
            raise_on_error=False,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
        for event in result.all_events:
            if event.is_step_failure and event.step_failure_data.error:
                typer.secho(event.step_failure_data.error.to_string().splitlines()[0], err=True, fg=typer.colors.RED)
    return run_id, result.success


def _bury_dead_runs(instance: "dg.DagsterInstance") -> None:
    """Runs that a killed process left as started would look alive in the UI for ever; they are not."""
    import dagster as dg

    dead = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING]))
    for run in dead:
        instance.report_run_failed(run, say("run.died"))


@contextmanager
def _progress(settings: Settings, run_id: str) -> Iterator[None]:
    """Tell each receipt of the run as it is written."""
    done = threading.Event()
    thread = threading.Thread(target=_follow, args=(settings, run_id, done), daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _follow(settings: Settings, run_id: str, done: threading.Event) -> None:
    register = Register(settings.register_url)
    register.upgrade()
    receipts, told = Receipts(register, run_id), 0
    finished = False
    while not finished:
        finished = done.wait(0.3)
        fresh = receipts.of_run(run_id)[told:]
        told += len(fresh)
        for receipt in fresh:
            typer.echo(f"  {_line(receipt)}", err=True)
    register.close()


def _line(receipt: Receipt) -> str:
    code = f"progress.{receipt.stage}"
    values = {"subject": receipt.subject, **{key: value for key, value in receipt.body.items() if key != "subject"}}
    return translate(code, "zh", **values)
