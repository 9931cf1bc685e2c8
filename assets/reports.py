"""Scores of the day as an asset with a job and a schedule of its own: receipts only, so no run and no lock is needed.

Runs keep scores too; the evening's are the last word of a day, and those of days on which nothing ran.
"""

import dagster as dg

from pipelines.contracts.load import load
from pipelines.evidence import days
from pipelines.messages import say, translate
from pipelines.register import Register
from pipelines.register.store import now
from pipelines.settings import Settings

EVENING = "50 23 * * *"
"""The end of the day by the city's clocks."""


@dg.asset(key=["measured"], group_name="operations", description=say("dagster.scores"))
def measured(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
    """Write down how every source stands at the end of this day."""
    settings = Settings.from_environment()
    register = Register(settings.register_url)
    try:
        written = days.keep(load(settings.contracts), register, settings.lake, now())
    finally:
        register.close()
    return dg.MaterializeResult(metadata={translate("dagster.scored", "zh"): written})
