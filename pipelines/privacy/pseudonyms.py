"""The SQL function `pseudonym`, which the mask of that name calls: a keyed hash under one recipient's key.

Which recipient gets which key, and where keys are kept, belongs elsewhere.
"""

from contextlib import suppress

import duckdb
from duckdb.func import FunctionNullHandling, PythonUDFType
from duckdb.sqltypes import VARCHAR

from pipelines.codecs.sm3 import keyed_hash

NAME = "pseudonym"


def register(con: duckdb.DuckDBPyConnection, key: bytes, name: str = NAME) -> None:
    """Add `pseudonym(VARCHAR) -> VARCHAR`, or the same of another name, to a connection: 32 hexadecimal characters,
    NULL for NULL.

    A second call replaces the key; a result that was not fetched before is lost.
    """
    con.execute("SELECT NULL").fetchall()  # ends a result that is still open and would keep the old function
    with suppress(duckdb.InvalidInputException):  # there is none yet
        con.remove_function(name)

    con.create_function(
        name,
        lambda values: keyed_hash(key, values),  # without annotations, which DuckDB would evaluate
        [VARCHAR],
        VARCHAR,
        type=PythonUDFType.ARROW,
        null_handling=FunctionNullHandling.SPECIAL,
    )
