"""Running an SQL expression on Python values."""

from collections.abc import Callable
from typing import Any

import duckdb
import pytest

Run = Callable[..., Any]


@pytest.fixture(scope="session")
def run() -> Run:
    """`run(expression_of, value, kind)`: the expression of column `v` for one value."""
    con = duckdb.connect()

    def apply(expression: Callable[[str], str], value: object, kind: str = "VARCHAR") -> Any:
        row = con.execute(f"SELECT {expression('v')} FROM (SELECT ?::{kind} AS v)", [value]).fetchone()
        assert row is not None
        return row[0]

    return apply
