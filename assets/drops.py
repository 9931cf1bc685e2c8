"""The sensor of file drops: a complete file that was not seen before starts one run of its source and what follows.

It looks at names, sizes and times only; whether a file was loaded before is for the connector to say, by content.
"""

import hashlib
from pathlib import Path
from typing import Any

import dagster as dg

from assets.sources import source_key
from pipelines.connectors.file_drop import folder_of, waiting
from pipelines.contracts.load import Contracts, SourceContract
from pipelines.messages import CitylakeError, say
from pipelines.settings import Settings

SECONDS = 30
"""Between two looks."""


def dropped_sources(contracts: Contracts) -> list[SourceContract]:
    """The sources whose deliveries are files in a folder."""
    return [source for source in contracts.sources.values() if source.connector.verb == "file_drop"]


def drop_sensor(contracts: Contracts, settings: Settings, job: Any) -> dg.SensorDefinition:
    """The sensor of all folders. Its cursor names what lies there; a run is asked for once for each new state."""

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
    """A mark of all complete files in all folders, and the sources that have any. A folder that is away has none."""
    seen, sources = hashlib.sha256(), []
    for source in dropped_sources(contracts):
        files = _files(source, contracts, settings)
        if files:
            sources.append(source_key(source.id))
        for file in files:
            status = file.stat()
            seen.update(f"{source.id}\0{file.name}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return seen.hexdigest(), sources


def _files(source: SourceContract, contracts: Contracts, settings: Settings) -> list[Path]:
    arguments = source.connector.arguments
    connection = arguments["connection"]
    try:
        address = settings.connection_string(connection, contracts.city.connections[connection].secret)
        return waiting(folder_of(address, connection), arguments["files"], arguments.get("complete", "marker"))
    except (CitylakeError, OSError):
        return []  # the run of the source says what is wrong; a sensor only looks
