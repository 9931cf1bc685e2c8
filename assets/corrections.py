"""Telling those who received what was corrected or withdrawn, as an asset with a job and a schedule of its own. It
reads what is published and opens issues, so no run is needed."""

import dagster as dg

from catalog.corrected import tell
from catalog.policy import recall
from pipelines.contracts.load import load
from pipelines.messages import say, translate
from pipelines.register import Register
from pipelines.settings import Settings

MORNING = "30 6 * * *"
"""When the sources of the night are published by the city's clocks."""


@dg.asset(key=["notices_of_corrections"], group_name="operations", description=say("dagster.corrections"))
def corrections(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
    """Open a notice for everybody who received what a source has corrected since, or read what was withdrawn."""
    settings = Settings.from_environment()
    contracts, register = load(settings.contracts), Register(settings.register_url)
    try:
        opened, waiting = tell(settings, register, contracts), recall.tell_all(register, contracts)
    finally:
        register.close()
    told = {"dagster.corrections_opened": opened, "dagster.recalls_open": waiting}
    return dg.MaterializeResult(metadata={translate(name, "zh"): count for name, count in told.items()})
