"""The SQL functions that the predicates of the codecs call, for a connection: one for each standard.

What they compute belongs to the codecs. Functions with a key or an argument of their own are registered where they are
used. A query that calls a function in Python is fetched whole, made a table or written by COPY, never streamed: to drop
a result while the function is at work for it is a deadlock (decision 0032).
"""

import re
from collections.abc import Iterable, Iterator
from functools import cache
from types import ModuleType

import duckdb
from duckdb.func import FunctionNullHandling, PythonUDFType
from duckdb.sqltypes import TINYINT, VARCHAR

from pipelines.codecs import gb11643, gb11714, gb32100
from pipelines.codecs.pairs import Judge
from pipelines.codecs.sql import identifier

_STANDARDS: dict[str, ModuleType] = {standard.FUNCTION: standard for standard in (gb11643, gb11714, gb32100)}
_OF_COLUMN = re.compile(rf"\b({'|'.join(_STANDARDS)})\(\"((?:[^\"]|\"\")+)\"\)")


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
    made: Judge = _STANDARDS[name].judge()
    return made


def right(name: str) -> int:
    """The verdict of a function on what is right."""
    verdict: int = _STANDARDS[name].RIGHT
    return verdict


def asked(predicates: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The functions that predicates call, each with the column that it is asked about."""
    for predicate in predicates:
        for name, column in _OF_COLUMN.findall(predicate):
            yield name, column.replace('""', '"')


def answered_right(predicate: str, name: str, column: str) -> str:
    """A predicate for rows of which it is known that the function's answer for a column is right, or NULL for NULL."""
    return predicate.replace(
        f"{name}({identifier(column)})",
        f"CASE WHEN {identifier(column)} IS NOT NULL THEN {right(name)}::TINYINT END",
    )
