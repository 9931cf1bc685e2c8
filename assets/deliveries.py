"""Deliveries into recipients' tables and folders, after every release: an asset of its own, so that one recipient's
server that is down fails neither a release nor the delivery to another."""

import dagster as dg

from assets.releases import EDITION
from catalog.delivery.deliveries import all_deliveries
from catalog.delivery.desk import Desk
from catalog.delivery.standing import attempt
from pipelines.contracts.load import Contracts
from pipelines.messages import CitylakeError, say
from pipelines.run import Run

KEY = dg.AssetKey(["deliveries"])


def delivery_assets(contracts: Contracts) -> list[dg.AssetsDefinition]:
    """The asset of all deliveries, none for a city without any."""
    if not contracts.city.deliveries:
        return []

    @dg.asset(
        key=KEY,
        deps=[EDITION],
        group_name="operations",
        description=say("deliver.asset"),
        required_resource_keys={"run"},
    )
    def deliveries(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        """Raises CitylakeError naming every delivery that was not made."""
        run: Run = context.resources.run
        desk, done, failed = Desk(run.settings, run.register), {}, []
        for name in all_deliveries(contracts.city):
            tried = attempt(desk, name, run.id)
            if made := tried.done:
                done[name] = {"how": made.how, "version": made.version, "rows": made.rows}
            if tried.problem is not None:
                context.log.error(f"{name}: {tried.told}")
                failed.append(name)
        if failed:
            raise CitylakeError("deliver.failed", names="、".join(failed))
        return dg.MaterializeResult(metadata={"deliveries": dg.MetadataValue.json(done)})

    return [deliveries]
