"""What assets work with: the run as a Dagster resource, opened once per Dagster run under the run lock; contracts and
register alone, for jobs that take no lock.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from pipelines.contracts.load import load
from pipelines.contracts.resolved import Contracts
from pipelines.messages import say
from pipelines.register import Register
from pipelines.run import Run, opened
from pipelines.settings import Settings

UNATTENDED = ("dagster/schedule_name", "dagster/sensor_name", "dagster/backfill")
"""Tags of runs that nobody started by hand: they wait for a run that somebody did."""
PATIENCE = 1800


@dg.resource(description=say("dagster.run"))
def run_resource(context: dg.InitResourceContext) -> Iterator[Run]:
    """The engine's run of this Dagster run. The in-process executor makes it once for all steps."""
    tags = context.run.tags if context.run else {}
    patience = PATIENCE if any(tag in tags for tag in UNATTENDED) else 0
    with opened(Settings.from_environment(), context.run_id or "adhoc", patience) as run:
        yield run


@contextmanager
def without_lock() -> Iterator[tuple[Settings, Contracts, Register]]:
    """Settings, contracts and register of this installation. The register is brought up to date: after an update such a
    job may be the first that runs."""
    settings = Settings.from_environment()
    contracts, register = load(settings.contracts), Register(settings.register_url)
    try:
        register.upgrade()
        yield settings, contracts, register
    finally:
        register.close()
