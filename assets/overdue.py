"""Escalation of issues whose deadline is over, as an asset with a job and a schedule of its own."""

from datetime import datetime
from zoneinfo import ZoneInfo

import dagster as dg

from pipelines.contracts.load import load
from pipelines.issues.overdue import escalate
from pipelines.messages import say, translate
from pipelines.register import Register
from pipelines.settings import Settings

NIGHT = "40 0 * * *"
"""When a day is over by the city's clocks."""


@dg.asset(key=["overdue_issues"], group_name="operations", description=say("dagster.overdue"))
def overdue(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
    """Tell the operator of issues that nobody answered in time."""
    settings = Settings.from_environment()
    city, register = load(settings.contracts).city, Register(settings.register_url)
    try:
        late = escalate(register, city, datetime.now(ZoneInfo(city.timezone)).date())
    finally:
        register.close()
    return dg.MaterializeResult(metadata={translate("dagster.overdue_issues", "zh"): late})
