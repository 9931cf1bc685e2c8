"""Running an SQL expression on Python values."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.memory import Planned, connection

Run = Callable[..., Any]


@pytest.fixture(scope="session")
def run() -> Run:
    """`run(expression_of, value)`: the expression of column `v` for one text or NULL.

    Planning an expression costs ten times as much as computing it: each is planned once.
    """
    con = connection()
    prepared: dict[str, str] = {}

    def apply(expression: Callable[[str], str], value: str | None) -> Any:
        query = f"SELECT {expression('v')} FROM (SELECT $1::VARCHAR AS v)"
        if query not in prepared:
            con.execute(f"PREPARE expression_{len(prepared)} AS {query}")
            prepared[query] = f"expression_{len(prepared)}"
        # EXECUTE takes no parameters; the bytes of a text need no escapes
        given = "NULL" if value is None else f"decode(from_hex('{value.encode().hex()}'))"
        row = con.execute(f"EXECUTE {prepared[query]}({given})").fetchone()
        assert row is not None
        return row[0]

    return apply


@pytest.fixture(scope="session")
def planned() -> Planned:
    """Queries on columns of texts."""
    return Planned()
