"""Freshness of every source by its update cycle: checks with a job and a schedule of their own.

They read receipts only, so they need no run and no lock: a source is late also when nothing runs. Runs of sources make
the checks of theirs as well.
"""

from collections.abc import Iterator

import dagster as dg

from assets.resources import without_lock
from assets.sources import source_key
from pipelines.contracts.load import Contracts
from pipelines.evidence.freshness import watch
from pipelines.messages import say, translate
from pipelines.register.store import now

CHECK = "freshness"
EVERY_HOUR = "15 * * * *"


def freshness_checks(contracts: Contracts) -> dg.AssetChecksDefinition:
    """One check for every source, all in one step."""
    description = say("dagster.freshness")
    specs = [dg.AssetCheckSpec(CHECK, asset=source_key(name), description=description) for name in contracts.sources]

    @dg.multi_asset_check(name="freshness_of_sources", specs=specs, can_subset=True)
    def freshness(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        wanted = {key.asset_key for key in context.selected_asset_check_keys}
        with without_lock() as (_, contracts, register):
            for seen in watch(contracts, register, now()):
                if source_key(seen.source) not in wanted:
                    continue  # runs of some sources look at those only
                yield dg.AssetCheckResult(
                    asset_key=source_key(seen.source),
                    check_name=CHECK,
                    passed=seen.last is not None and not seen.days_late,
                    severity=dg.AssetCheckSeverity.WARN,
                    metadata={
                        translate("dagster.cycle", "zh"): seen.cycle,
                        translate("dagster.last_delivery", "zh"): seen.last.isoformat() if seen.last else "—",
                        translate("dagster.days_late", "zh"): seen.days_late,
                    },
                )

    return freshness
