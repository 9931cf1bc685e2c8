"""The SQL function `sealed`, which the mask of that name calls: SM4-GCM under one key, to be opened by whoever has it.

Which recipient gets which key belongs elsewhere.
"""

from collections.abc import Callable
from contextlib import suppress

import duckdb
import pyarrow as pa
from duckdb.func import FunctionNullHandling, PythonUDFType
from duckdb.sqltypes import VARCHAR

NAME = "sealed"


def register(con: duckdb.DuckDBPyConnection, seal: Callable[[str], str], name: str = NAME) -> None:
    """Add a function of texts, NULL for NULL, to a connection; a second call replaces it, and a result that was not
    fetched before is lost."""
    con.execute("SELECT NULL").fetchall()  # ends a result that is still open and would keep the old function
    with suppress(duckdb.InvalidInputException):  # there is none yet
        con.remove_function(name)

    def made(values):  # type: ignore[no-untyped-def]  # DuckDB would evaluate annotations
        return pa.array((None if text is None else seal(text) for text in values.to_pylist()), pa.string())

    con.create_function(
        name, made, [VARCHAR], VARCHAR, type=PythonUDFType.ARROW, null_handling=FunctionNullHandling.SPECIAL
    )
