"""A DuckDB connection of a test's own that knows the functions rules call, without memory limit and spill folder."""

import duckdb

from pipelines.codecs import functions


def connection() -> duckdb.DuckDBPyConnection:
    """In memory."""
    con = duckdb.connect()
    functions.add_to(con)
    return con
