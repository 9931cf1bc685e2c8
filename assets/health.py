"""The last step of every run: it fails when anything went wrong, so that a red run means there is something to do."""

import dagster as dg

from assets.releases import EDITION
from pipelines.messages import CitylakeError, say, translate
from pipelines.run import Run

FROM_FAILURE = {"dagster/is_resume_retry", "dagster/is_asset_resume_retry"}
"""Tags of runs that execute again what failed in another run, and what comes after."""


@dg.asset(
    key=["health"],
    deps=[EDITION],
    group_name="operations",
    description=say("dagster.health"),
    required_resource_keys={"run"},
)
def health(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
    """Raises CitylakeError naming every subject with a problem, and for a run that did not look at all of its job."""
    run: Run = context.resources.run
    if _is_a_part(context):
        raise CitylakeError("run.in_part", job=context.job_name)
    if run.problems:
        subjects = sorted(set(run.problems))
        raise CitylakeError("run.unhealthy", count=len(subjects), problems="、".join(subjects))
    return dg.MaterializeResult(metadata={translate("dagster.open_issues", "zh"): len(run.issues.open())})


def _is_a_part(context: dg.AssetExecutionContext) -> bool:
    """Whether steps were left away: what failed was told by a step that succeeded, so what is left says nothing."""
    if FROM_FAILURE & context.run.tags.keys():
        return True
    made = dg.DagsterEventType.ASSET_MATERIALIZATION
    events = context.instance.all_logs(context.run_id, of_type=made)
    return all(
        event.asset_materialization is None or event.asset_materialization.asset_key != EDITION for event in events
    )
