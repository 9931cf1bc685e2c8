"""What readers would wait for, made ahead after every release: an asset of its own, so that a view that cannot be made
fails no release and no run. Whoever asks for it first makes it then, as before; an issue of the operator says so."""

import dagster as dg

from assets.releases import EDITION
from catalog.delivery.ahead import AREA, after_release
from catalog.delivery.desk import Desk
from pipelines.messages import say, translate
from pipelines.run import Run


@dg.asset(
    key=["ahead"],
    deps=[EDITION],
    group_name="operations",
    description=say("ahead.asset"),
    required_resource_keys={"run"},
)
def ahead(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
    """Make views, ordered rows and indexes that grants in force ask for."""
    run: Run = context.resources.run
    ready, missing = 0, 0
    for made in after_release(Desk(run.settings, run.register)):
        run.issues.report(made.product, run.contracts.city.operator, AREA, made.findings)
        ready, missing = ready + len(made.ready), missing + len(made.problems)
        for finding in made.findings:
            context.log.warning(finding.both())
    label = {name: translate(f"ahead.{name}", "zh") for name in ("ready", "missing")}
    return dg.MaterializeResult(metadata={label["ready"]: ready, label["missing"]: missing})
