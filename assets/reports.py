"""Scores of the day and reports of the month, each an asset with a job and a schedule of its own.

Scores are receipts only, so no run and no lock is needed. Runs keep them too; the evening's are the last word of a day,
and those of days on which nothing ran. Reports are a row of the ledger, so they are a run.
"""

from zoneinfo import ZoneInfo

import dagster as dg

from catalog.reporting import monthly
from pipelines.contracts.load import load
from pipelines.evidence import days
from pipelines.messages import say, translate
from pipelines.register import Register
from pipelines.register.store import now
from pipelines.run import Run
from pipelines.settings import Settings

EVENING = "50 23 * * *"
"""The end of the day by the city's clocks."""
FIRST_OF_MONTH = "30 6 1 * *"
"""When the last month's deliveries are in and nobody works yet."""


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


@dg.asset(
    key=["month_reports"],
    group_name="operations",
    description=say("dagster.month_reports"),
    required_resource_keys={"run"},
)
def month_reports(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
    """Make and keep the reports of the last month that is over, unless they were made."""
    run: Run = context.resources.run
    month = monthly.month_before(run.started, ZoneInfo(run.contracts.city.timezone))
    row = monthly.keep(run.settings, run.contracts, run.register, month, f"dagster:{run.id}")
    files = row.body["files"] if row else []
    return dg.MaterializeResult(metadata={translate("dagster.reports_made", "zh"): dg.MetadataValue.json(files)})
