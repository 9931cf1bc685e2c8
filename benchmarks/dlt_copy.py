"""A table of PostgreSQL into Delta by dlt, with connectorx, its fastest way of reading: nothing is judged or kept raw.

Runs in an environment of its own (`requirements/dlt.txt`): `python -m benchmarks.dlt_copy`, address and table as
JSON on standard input.
"""

import json
import os
import sys
from pathlib import Path

os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
os.environ["RUNTIME__LOG_LEVEL"] = "CRITICAL"

import dlt
from dlt.sources.sql_database import sql_table

from benchmarks.contender import one


def copy(where: str, folder: Path) -> int:
    """Returns rows."""
    dsn, (schema, table) = json.loads(where)["dsn"], json.loads(where)["table"].split(".")
    pipeline = dlt.pipeline(
        "bench",
        pipelines_dir=str(folder / "pipelines"),
        destination=dlt.destinations.filesystem((folder / "lake").as_uri()),
        dataset_name="bench",
    )
    source = sql_table(
        credentials=dsn.replace("postgresql://", "postgresql+psycopg2://"),
        schema=schema,
        table=table,
        backend="connectorx",
        backend_kwargs={"conn": dsn, "return_type": "arrow"},
    )
    pipeline.run(source, table_format="delta", write_disposition="replace").raise_on_failed_jobs()
    return int(pipeline.last_trace.last_normalize_info.row_counts[table])


if __name__ == "__main__":
    one(copy, sys.stdin.read())
