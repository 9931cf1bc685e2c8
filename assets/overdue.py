"""What ends by the clock, as an asset with a job and a schedule of its own: issues that nobody answered in time, grants
that nobody has renewed."""

from datetime import datetime
from zoneinfo import ZoneInfo

import dagster as dg

from assets.resources import without_lock
from catalog.delivery import ending
from pipelines.issues.overdue import escalate
from pipelines.messages import say, translate
from pipelines.register.store import now

NIGHT = "40 0 * * *"
"""When a day is over by the city's clocks."""


@dg.asset(key=["overdue_issues"], group_name="operations", description=say("dagster.overdue"))
def overdue(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
    """Tell the operator of issues that nobody answered in time, and owners of grants that end soon."""
    with without_lock() as (_, contracts, register):
        late = escalate(register, contracts.city, datetime.now(ZoneInfo(contracts.city.timezone)).date())
        soon = ending.tell(register, contracts, now())
    told = {"dagster.overdue_issues": late, "dagster.ending_grants": soon}
    return dg.MaterializeResult(metadata={translate(name, "zh"): count for name, count in told.items()})
