"""Scores of the day and reports of the month, each an asset with a job and a schedule of its own.

Scores are receipts only, so no run and no lock is needed. Runs keep them too; the evening's are the last word of a day,
and those of days on which nothing ran. Reports are a row of the ledger, so they are a run.
"""

import dagster as dg

from assets.resources import without_lock
from catalog.reporting import monthly
from pipelines.evidence import days
from pipelines.messages import CitylakeError, say, translate
from pipelines.register.store import now
from pipelines.run import REPORTS, Run

EVENING = "50 23 * * *"
"""The end of the day by the city's clocks."""
FIRST_OF_MONTH = "30 6 1 * *"
"""When the last month's deliveries are in and nobody works yet."""


@dg.asset(key=["measured"], group_name="operations", description=say("dagster.scores"))
def measured(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
    """Write down how every source stands at the end of this day."""
    with without_lock() as (settings, contracts, register):
        written = days.keep(contracts, register, settings.lake, now())
    return dg.MaterializeResult(metadata={translate("dagster.scored", "zh"): written})


@dg.asset(
    key=["month_reports"],
    group_name="operations",
    description=say("dagster.month_reports"),
    required_resource_keys={"run"},
)
def month_reports(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
    """Make and keep the reports of every month that is over and has none. Raises CitylakeError if any failed."""
    run: Run = context.resources.run
    made = monthly.make_up(run.settings, run.contracts, run.register, run.failures, run.started, f"dagster:{run.id}")
    if run.problems:
        raise CitylakeError("run.unhealthy", count=1, problems=REPORTS)
    files = [file for row in made for file in row.body["files"]]
    return dg.MaterializeResult(metadata={translate("dagster.reports_made", "zh"): dg.MetadataValue.json(files)})
