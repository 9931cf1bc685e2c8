"""The last step of every run: it fails when anything went wrong, so that a red run means there is something to do."""

import dagster as dg

from assets.releases import EDITION
from pipelines.messages import CitylakeError, say, translate
from pipelines.run import Run


@dg.asset(
    key=["health"],
    deps=[EDITION],
    group_name="operations",
    description=say("dagster.health"),
    required_resource_keys={"run"},
)
def health(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
    """Raises CitylakeError naming every subject with a problem."""
    run: Run = context.resources.run
    if run.problems:
        subjects = sorted(set(run.problems))
        raise CitylakeError("run.unhealthy", count=len(subjects), problems="、".join(subjects))
    return dg.MaterializeResult(metadata={translate("dagster.open_issues", "zh"): len(run.issues.open())})
