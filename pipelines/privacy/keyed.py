"""How the function of a keyed mask is put on a connection. What it makes, and under which key, belongs elsewhere."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import duckdb
from duckdb.func import FunctionNullHandling, PythonUDFType
from duckdb.sqltypes import VARCHAR


def put(con: duckdb.DuckDBPyConnection, name: str, made: Callable[[Any], Any]) -> None:
    """Add `name(VARCHAR) -> VARCHAR` to a connection; `made`: the values of an Arrow array, NULL among them.

    A second call replaces it; a result that was not fetched before is lost.
    """
    con.execute("SELECT NULL").fetchall()  # ends a result that is still open and would keep the old function
    with suppress(duckdb.InvalidInputException):  # there is none yet
        con.remove_function(name)

    con.create_function(
        name,
        lambda values: made(values),  # without annotations, which DuckDB would evaluate
        [VARCHAR],
        VARCHAR,
        type=PythonUDFType.ARROW,
        null_handling=FunctionNullHandling.SPECIAL,
    )
