"""Anomalies of reads as an asset with a job and a schedule of its own. They are issues only, so no run is needed."""

import dagster as dg

from assets.resources import without_lock
from catalog.policy.anomalies import tell
from pipelines.messages import say, translate
from pipelines.register.store import now

EARLY = "20 0 * * *"
"""When a day is over by the city's clocks."""


@dg.asset(key=["anomalies"], group_name="operations", description=say("dagster.anomalies"))
def anomalies(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
    """Open issues for reads of the last days that are not as those before."""
    with without_lock() as (_, contracts, register):
        opened = tell(register, contracts.city, now())
    return dg.MaterializeResult(metadata={translate("dagster.anomalies_opened", "zh"): opened})
