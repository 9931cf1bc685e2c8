"""The SQL functions that the predicates of the codecs call, for a connection: one for each standard.

What they compute belongs to the codecs. Functions with a key or an argument of their own are registered where they are
used. A query that calls a function in Python is fetched whole, made a table or written by COPY, never streamed: to drop
a result while the function is at work for it is a deadlock (decision 0032).
"""

from collections.abc import Callable
from functools import cache

import duckdb
from duckdb.func import FunctionNullHandling, PythonUDFType
from duckdb.sqltypes import TINYINT, VARCHAR

from pipelines.codecs import gb11643, gb11714, gb32100
from pipelines.codecs.pairs import Judge

_STANDARDS: dict[str, Callable[[], Judge]] = {
    standard.FUNCTION: standard.judge for standard in (gb11643, gb11714, gb32100)
}


def add_to(con: duckdb.DuckDBPyConnection) -> None:
    """Make the functions known to a connection and its cursors: `name(VARCHAR) -> TINYINT`."""
    for name in _STANDARDS:
        _add(con, name)


def called(sql: str) -> bool:
    """Whether a statement asks for a function that only such a connection knows."""
    return any(f"{name}(" in sql for name in _STANDARDS)


def _add(con: duckdb.DuckDBPyConnection, name: str) -> None:
    con.create_function(
        name,
        lambda texts: judge(name)(texts),  # without annotations, which DuckDB would evaluate
        [VARCHAR],
        TINYINT,
        type=PythonUDFType.ARROW,
        null_handling=FunctionNullHandling.SPECIAL,
    )


@cache
def judge(name: str) -> Judge:
    """What a function computes. Built when it is first asked: its tables take 2 MB and some milliseconds."""
    return _STANDARDS[name]()
