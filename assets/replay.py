"""Replay by partition: what a source delivered on a day, judged again by the present contract.

A partition is a source and a day; a backfill over many is one run. What it changes is built by the next run.
"""

import warnings
from collections.abc import Iterator, Mapping
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
EMPTY = {"replay.nothing", "replay.overtaken"}
"""Codes of errors that say of a day that it has nothing which still counts: a range of days has such days."""
Outcome = dict[str, int] | str
Event = dg.MaterializeResult[None] | dg.AssetMaterialization


def replay_asset(contracts: Contracts) -> dg.AssetsDefinition:
    """The asset whose partitions are the days of every source."""
    partitions = dg.MultiPartitionsDefinition(
        {
            "day": dg.DailyPartitionsDefinition(FIRST_DAY, timezone=contracts.city.timezone, end_offset=1),
            "source": dg.StaticPartitionsDefinition(list(map(partition_of, contracts.sources))),
        }
    )

    def replay(context: dg.AssetExecutionContext) -> Iterator[Event]:
        """Raises CitylakeError naming every partition that was not judged; those that were are told before."""
        run: Run = context.resources.run
        done, failed = _replayed(run, context)
        if not failed:
            yield dg.MaterializeResult(metadata=_metadata(done))
            return
        for key in (key for key in context.partition_keys if str(key) in done):
            told = _metadata({str(key): done[str(key)]})
            yield dg.AssetMaterialization(KEY, partition=key, metadata=told)
        raise CitylakeError("replay.partitions_failed", count=len(failed), partitions="、".join(failed))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)  # told of backfill_policy at every start, to operators
        return dg.asset(
            replay,
            key=KEY,
            partitions_def=partitions,
            backfill_policy=dg.BackfillPolicy.single_run(),
            group_name="operations",
            description=say("dagster.replay"),
            required_resource_keys={"run"},
        )


def partition_of(source: str) -> str:
    """The partition of a source `<org>/<dataset>`."""
    return source.replace("/", SEPARATOR)


def source_of(partition: str) -> str:
    """The source that a partition is of."""
    return partition.replace(SEPARATOR, "/", 1)


def _replayed(run: Run, context: dg.AssetExecutionContext) -> tuple[dict[str, Outcome], list[str]]:
    """What became of every partition, by its key, and the keys of those that failed, whose errors are logged.

    Days without anything to judge say so; they are no failure. After a failure the later days of the same source wait.
    """
    done: dict[str, Outcome] = {}
    failed: dict[str, str] = {}
    for key in sorted(context.partition_keys, key=lambda key: (_of(key, "source"), _of(key, "day"))):
        source, day = source_of(_of(key, "source")), date.fromisoformat(_of(key, "day"))
        if source in failed.values():
            failed[str(key)] = source
            continue
        try:
            done[str(key)] = run.replay(source, day, day).replayed(source).counts
            continue
        except CitylakeError as error:
            if error.code in EMPTY:
                done[str(key)] = error.text("zh")
                continue
            problem = str(error)
        except Exception as error:  # it harms one source; its text may quote rows
            problem = run.failures.add(source, run.contracts.sources[source].org, error).both()
        context.log.error(f"{key}: {problem}")
        failed[str(key)] = source
    return done, list(failed)


def _of(key: Any, dimension: str) -> str:
    return str(key.keys_by_dimension[dimension])


def _metadata(outcomes: Mapping[str, Outcome]) -> dict[str, dg.MetadataValue]:
    return {translate("dagster.outcome", "zh"): dg.MetadataValue.json(outcomes)}
