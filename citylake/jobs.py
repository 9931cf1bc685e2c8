"""Starting Dagster jobs from the command line, in this process, with progress told from receipts."""

import os
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from pipelines.messages import CitylakeError, translate
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
# Whose process was killed has failed, and its place is free again.
run_launcher: {module: assets.alive, class: Launcher}
# Which runs are started again is said by their tags: those that were killed (assets.alive).
run_retries: {enabled: true, max_retries: 0}
# Seconds: on a machine that is busy the imports take minutes, and without the definitions nothing scheduled runs.
run_monitoring: {enabled: true, poll_interval_seconds: 30, start_timeout_seconds: 900}
code_servers: {local_startup_timeout: 900}
"""


def prepare_dagster(settings: Settings) -> None:
    """Make DAGSTER_HOME below the home of this installation and point this process and its children to it."""
    folder = settings.home / "dagster"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dagster.yaml").write_text(DAGSTER_YAML, "utf-8")
    os.environ["DAGSTER_HOME"] = str(folder)
    os.environ["CITYLAKE_HOME"] = str(settings.home)


def run_job(settings: Settings, job: str) -> tuple[str, bool]:
    """Run a job of the definitions; returns its run id and whether it succeeded. Raises RunLocked, and CitylakeError
    for a job that is not there."""
    settings.prepare()
    prepare_dagster(settings)
    register = Register(settings.register_url)
    register.upgrade()  # before the progress reads it and the run opens it
    register.close()
    import dagster as dg  # 1.6 CPU seconds: only commands that run jobs pay them

    from assets.alive import hold
    from assets.definitions import defs

    known = [one.name for one in defs.resolve_all_job_defs() if not one.name.startswith("__")]
    if job not in known:
        raise CitylakeError("cli.no_job", job=job, known="、".join(sorted(known)))
    run_id = str(uuid.uuid4())
    with dg.DagsterInstance.get() as instance, _progress(settings, run_id):
        hold(instance, run_id)
        result = defs.resolve_job_def(job).execute_in_process(
            instance=instance,
            run_id=run_id,
            raise_on_error=False,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
    for cause in dict.fromkeys(_causes(result.all_events)):
        typer.secho(cause, err=True, fg=typer.colors.RED)
    return run_id, result.success


def _causes(events: "Sequence[dg.DagsterEvent]") -> Iterator[str]:
    """What went wrong, without the wrapping: the message of the innermost error of every failure."""
    for event in events:
        error = getattr(event.event_specific_data, "error", None)
        while error is not None and error.cause is not None:
            error = error.cause
        if error is not None:
            yield str(error.message).strip().partition(": ")[2] or str(error.message).strip()


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
