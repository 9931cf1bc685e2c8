"""The sensor of file drops: a complete file that was not seen before starts one run of its source and what follows.

It looks at names, sizes and times only; whether a file was loaded before is for the connector to say, by content.
"""

import hashlib
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any

import dagster as dg

from assets.sources import source_key
from pipelines.connectors.drop_box import waiting
from pipelines.connectors.stores import StoredFile, StoreError, open_store
from pipelines.contracts.load import Contracts, SourceContract
from pipelines.messages import CitylakeError, say
from pipelines.settings import Settings

SECONDS = 30
"""Between two looks."""
PATIENCE = 20.0
"""Seconds for all stores to answer one look."""


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

    Each store is listed once, however many sources deliver there, and none waits for another that does not answer.
    """
    by_connection: dict[str, list[SourceContract]] = defaultdict(list)
    for dropped in dropped_sources(contracts):
        by_connection[dropped.connector.arguments["connection"]].append(dropped)
    pool = ThreadPoolExecutor(max(len(by_connection), 1))
    asked = [pool.submit(_files, connection, there, contracts, settings) for connection, there in by_connection.items()]
    answered, _ = wait(asked, PATIENCE)
    pool.shutdown(wait=False, cancel_futures=True)
    found = {source: files for one in answered for source, files in one.result().items() if files}
    seen = hashlib.sha256()
    for source in sorted(found):
        for file in found[source]:
            seen.update(f"{source}\0{file.name}\0{file.size}\0{file.modified}\n".encode())
    return seen.hexdigest(), [source_key(source) for source in sorted(found)]


def _files(
    connection: str, sources: list[SourceContract], contracts: Contracts, settings: Settings
) -> dict[str, list[StoredFile]]:
    """The complete files of each source that delivers to one store."""
    found = {}
    try:
        address = settings.connection_string(connection, contracts.city.connections[connection].secret)
        with open_store(address, connection, "") as store:
            for source in sources:
                given = source.connector.arguments
                found[source.id] = waiting(store, given["files"], given.get("complete", "marker"))
    except (CitylakeError, StoreError, OSError):
        return {}  # the run of the source says what is wrong; a sensor only looks
    return found
