"""Small tables on disk for the tests of the lake.

Belongs here: writing and reading one table in a line. Does not belong here: dbt.
"""

from pathlib import Path
from typing import Any

import duckdb

from pipelines.lake.columns import query_schema
from pipelines.lake.delta import Strategy, commit, open_table, scan
from pipelines.lake.parquet import copy_rows

Rows = list[tuple[Any, ...]]


def put_query(
    location: Path, query: str, strategy: Strategy = "append", base: int | None = None, **options: Any
) -> int:
    """Write the rows of a query and commit them."""
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        schema = query_schema(con, query, location.name)
        written = copy_rows(con, query, location, options.get("partition_by", ()))
        return commit(location, schema, strategy, base, written, **options)


def read_rows(location: Path, version: int | None = None, where: str = "true") -> Rows:
    """All rows of a version, ordered, as citylake reads them."""
    read = scan(open_table(location, version))
    with duckdb.connect() as con:
        con.execute("set TimeZone = 'UTC'")
        return con.execute(f"select {read.columns} from {read.source} where {where} order by all").fetchall()
