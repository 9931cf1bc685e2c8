"""Telling those who received what was corrected or withdrawn, as an asset with a job and a schedule of its own. It
reads what is published and opens issues, so no run is needed."""

import dagster as dg

from assets.resources import without_lock
from catalog.corrected import tell
from catalog.policy import recall
from pipelines.messages import say, translate

MORNING = "30 6 * * *"
"""When the sources of the night are published by the city's clocks."""


@dg.asset(key=["notices_of_corrections"], group_name="operations", description=say("dagster.corrections"))
def corrections(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
    """Open a notice for everybody who received what a source has corrected since, or read what was withdrawn."""
    with without_lock() as (settings, contracts, register):
        opened, waiting = tell(settings, register, contracts), recall.tell_all(register, contracts)
    told = {"dagster.corrections_opened": opened, "dagster.recalls_open": waiting}
    return dg.MaterializeResult(metadata={translate(name, "zh"): count for name, count in told.items()})
