"""The dbt-duckdb plugin: commits the Parquet files a `delta` model wrote as a candidate, and says how to read it.

Belongs here: the only import of dbt-duckdb. Does not belong here: the log (delta), paths (zones), SQL (macros).
"""

import os
from pathlib import Path
from typing import Any

import duckdb
from dbt.adapters.duckdb.plugins import BasePlugin
from dbt.adapters.duckdb.utils import TargetConfig
from dbt_common.exceptions import DbtRuntimeError

from pipelines.codecs.sql import literal
from pipelines.lake.candidate import clone_released
from pipelines.lake.columns import delta_schema
from pipelines.lake.delta import commit, open_table, scan
from pipelines.lake.errors import LakeError
from pipelines.lake.parquet import WrittenFile, keep_filled


class Plugin(BasePlugin):
    """dbt-duckdb calls `store` once per model, after its COPY and before its tests."""

    def configure_connection(self, conn: duckdb.DuckDBPyConnection) -> None:
        """Spill into this lake. The profile does not say so: dbt parses everything anew when a profile changes."""
        conn.execute(f"SET temp_directory = {literal(os.environ['CITYLAKE_SPILL'])}")

    def store(self, target_config: TargetConfig) -> None:
        """Commit the candidate of one model; the macro reads `columns` and `source` from the request it passed.

        An incremental strategy starts from a clone of the released version `base`. Raises DbtRuntimeError.
        """
        try:
            self._commit(target_config)
        except LakeError as error:  # dbt reports one line of an error: both languages must stand in it
            raise DbtRuntimeError(" / ".join(error.text(language) for language in ("zh", "en"))) from error

    def _commit(self, target_config: TargetConfig) -> None:
        request: dict[str, Any] = target_config.config
        assert target_config.location is not None  # the macro always gives one
        location, base = Path(target_config.location.path), request["base"]
        model = str(target_config.relation.identifier)
        schema = delta_schema(model, [(column.column, column.dtype) for column in target_config.column_list])
        written = keep_filled(
            WrittenFile(str(row[0]), int(row[1]), int(row[2]), row[3], row[4]) for row in request["written"]
        )
        if base:
            clone_released(Path(base["location"]), int(base["version"]), location)
        version = commit(
            location,
            schema,
            request["strategy"],
            0 if base else None,
            written,
            replaced=[str(location / Path(name).relative_to(base["location"])) for name in request["replaced"]],
            partition_by=request["partition_by"],
            metadata={"edition": os.environ["CITYLAKE_EDITION"]},
        )
        read = scan(open_table(location, version))
        request["columns"], request["source"] = read.columns, read.source
