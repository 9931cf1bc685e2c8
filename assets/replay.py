"""Replay by partition: what a source delivered on a day, judged again by the present contract.

A partition is a source and a day; a backfill over many is one run. What it changes is built by the next run.
"""

from collections.abc import Iterator
from datetime import date
from typing import Any

import dagster as dg

from pipelines.contracts.load import Contracts
from pipelines.messages import CitylakeError, say, translate
from pipelines.run import Run

KEY = dg.AssetKey(["replay"])
FIRST_DAY = "2026-01-01"
SEPARATOR = "__"
"""Between organisation and dataset, as in the names of tables."""


def replay_asset(contracts: Contracts) -> dg.AssetsDefinition:
    """The asset whose partitions are the days of every source."""
    partitions = dg.MultiPartitionsDefinition(
        {
            "day": dg.DailyPartitionsDefinition(FIRST_DAY, timezone=contracts.city.timezone, end_offset=1),
            "source": dg.StaticPartitionsDefinition(list(map(partition_of, contracts.sources))),
        }
    )

    @dg.asset(
        key=KEY,
        partitions_def=partitions,
        backfill_policy=dg.BackfillPolicy.single_run(),
        group_name="operations",
        description=say("dagster.replay"),
        required_resource_keys={"run"},
    )
    def replay(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        run: Run = context.resources.run
        outcomes = dict(_replayed(run, context.partition_keys))
        return dg.MaterializeResult(metadata={translate("dagster.outcome", "zh"): dg.MetadataValue.json(outcomes)})

    return replay


def partition_of(source: str) -> str:
    """The partition of a source `<org>/<dataset>`."""
    return source.replace("/", SEPARATOR)


def source_of(partition: str) -> str:
    """The source that a partition is of."""
    return partition.replace(SEPARATOR, "/", 1)


def _replayed(run: Run, keys: Any) -> Iterator[tuple[str, dict[str, int] | str]]:
    """What became of every partition, by its key; days without a batch say so. Raises CitylakeError at a source of
    which a batch is held: what comes after it waits too."""
    for key in sorted(keys, key=lambda key: (key.keys_by_dimension["source"], key.keys_by_dimension["day"])):
        source = source_of(key.keys_by_dimension["source"])
        day = date.fromisoformat(key.keys_by_dimension["day"])
        try:
            done = run.replay(source, day, day)
        except CitylakeError as error:
            yield str(key), error.text("zh")
            continue
        yield str(key), done.replayed(source)
