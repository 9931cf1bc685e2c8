"""Retention as an asset with a job and a schedule of its own: every day what is due by the contracts ends.

What ended is told by dataset and layer, in counts: no values of rows.
"""

from typing import Any

import dagster as dg

from pipelines.messages import say, translate
from pipelines.run import Run

KEY = dg.AssetKey(["ended"])
JOB = "retention"
EVERY_DAY = "30 5 * * *"
"""After the sources of the night, before anybody works."""


@dg.asset(key=KEY, group_name="operations", description=say("dagster.retention"), required_resource_keys={"run"})
def ended(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
    """End what is due. The contracts decide, so the ledger names this run as who did it."""
    run: Run = context.resources.run
    body = run.retain(f"dagster:{run.id}", translate("dagster.retention_why", "zh"), unattended=True)
    body = body or {"due": [], "held": []}
    return dg.MaterializeResult(
        metadata={
            translate("dagster.ended", "zh"): dg.MetadataValue.json(body["due"]),
            translate("dagster.held_back", "zh"): dg.MetadataValue.json(body["held"]),
            translate("dagster.rows_ended", "zh"): _rows(body["due"]),
        }
    )


def _rows(due: list[dict[str, Any]]) -> int:
    return sum(int(one["rows"]) for one in due)
