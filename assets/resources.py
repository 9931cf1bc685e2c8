"""The run as a Dagster resource: opened once per Dagster run, under the run lock."""

from collections.abc import Iterator

import dagster as dg

from pipelines.messages import say
from pipelines.run import Run, opened
from pipelines.settings import Settings


@dg.resource(description=say("dagster.run"))
def run_resource(context: dg.InitResourceContext) -> Iterator[Run]:
    """The engine's run of this Dagster run. The in-process executor makes it once for all steps."""
    with opened(Settings.from_environment(), context.run_id or "adhoc") as run:
        yield run
