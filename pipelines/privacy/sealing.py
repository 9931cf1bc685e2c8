"""The SQL function `sealed`, which the mask of that name calls: SM4-GCM under one key, to be opened by whoever has it.

Which recipient gets which key belongs elsewhere.
"""

from collections.abc import Callable

import duckdb
import pyarrow as pa

from pipelines.privacy.keyed import put

NAME = "sealed"


def register(con: duckdb.DuckDBPyConnection, seal: Callable[[str], str], name: str = NAME) -> None:
    """Add a function of texts, NULL for NULL, to a connection; a second call replaces it, and a result that was not
    fetched before is lost."""
    put(
        con,
        name,
        lambda values: pa.array((None if one is None else seal(one) for one in values.to_pylist()), pa.string()),
    )
