"""The sensor of file drops: a complete file that was not seen before starts one run of its source and what follows.

It looks at names, sizes and times only; whether a file was loaded before is for the connector to say, by content.
"""

import hashlib
from contextlib import ExitStack, suppress
from typing import Any

import dagster as dg

from assets.sources import source_key
from pipelines.connectors.drop_box import waiting
from pipelines.connectors.stores import Store, StoredFile, StoreError, open_store
from pipelines.contracts.load import Contracts, SourceContract
from pipelines.messages import CitylakeError, say
from pipelines.settings import Settings

SECONDS = 30
"""Between two looks."""


def dropped_sources(contracts: Contracts) -> list[SourceContract]:
    """The sources whose deliveries are files in a store."""
    return [source for source in contracts.sources.values() if source.connector.verb == "file_drop"]


def drop_sensor(contracts: Contracts, settings: Settings, job: Any) -> dg.SensorDefinition:
    """The sensor of all stores. Its cursor names what lies there; a run is asked for once for each new state."""

    @dg.sensor(
        name="file_drops",
        job=job,
        minimum_interval_seconds=SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=say("dagster.drops"),
    )
    def file_drops(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        mark, sources = look(contracts, settings)
        if not sources:
            return dg.SensorResult(skip_reason=say("dagster.no_drops"))
        if mark == context.cursor:
            return dg.SensorResult(skip_reason=say("dagster.same_drops"))
        return dg.SensorResult(run_requests=[dg.RunRequest(run_key=mark)], cursor=mark)

    return file_drops


def look(contracts: Contracts, settings: Settings) -> tuple[str, list[dg.AssetKey]]:
    """A mark of all complete files in all stores, and the sources that have any. A store that is away has none.

    Each store is listed once, however many sources deliver there.
    """
    seen, sources = hashlib.sha256(), []
    with ExitStack() as opened:
        stores = _stores(contracts, settings, opened)
        for source in dropped_sources(contracts):
            files = _files(source, stores.get(source.connector.arguments["connection"]))
            if files:
                sources.append(source_key(source.id))
            for file in files:
                seen.update(f"{source.id}\0{file.name}\0{file.size}\0{file.modified}\n".encode())
    return seen.hexdigest(), sources


def _stores(contracts: Contracts, settings: Settings, opened: ExitStack) -> dict[str, Store]:
    """The stores that answer, by connection."""
    found = {}
    for connection in sorted({source.connector.arguments["connection"] for source in dropped_sources(contracts)}):
        with suppress(CitylakeError, OSError):  # the run of the source says what is wrong; a sensor only looks
            address = settings.connection_string(connection, contracts.city.connections[connection].secret)
            found[connection] = opened.enter_context(open_store(address, connection, ""))
    return found


def _files(source: SourceContract, store: Store | None) -> list[StoredFile]:
    arguments = source.connector.arguments
    try:
        return waiting(store, arguments["files"], arguments.get("complete", "marker")) if store else []
    except (CitylakeError, StoreError, OSError):
        return []  # as above
