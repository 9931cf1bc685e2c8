"""What ends by the clock, as an asset with a job and a schedule of its own: issues that nobody answered in time, grants
that nobody has renewed."""

from datetime import datetime
from zoneinfo import ZoneInfo

import dagster as dg

from catalog.delivery import ending
from pipelines.contracts.load import load
from pipelines.issues.overdue import escalate
from pipelines.messages import say, translate
from pipelines.register import Register
from pipelines.register.store import now
from pipelines.settings import Settings

NIGHT = "40 0 * * *"
"""When a day is over by the city's clocks."""


@dg.asset(key=["overdue_issues"], group_name="operations", description=say("dagster.overdue"))
def overdue(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
    """Tell the operator of issues that nobody answered in time, and owners of grants that end soon."""
    settings = Settings.from_environment()
    contracts, register = load(settings.contracts), Register(settings.register_url)
    try:
        late = escalate(register, contracts.city, datetime.now(ZoneInfo(contracts.city.timezone)).date())
        soon = ending.tell(register, contracts, now())
    finally:
        register.close()
    told = {"dagster.overdue_issues": late, "dagster.ending_grants": soon}
    return dg.MaterializeResult(metadata={translate(name, "zh"): count for name, count in told.items()})
