"""A DuckDB connection of a test's own that knows the functions rules call, without memory limit and spill folder."""

from collections.abc import Sequence
from typing import Any

import duckdb

from pipelines.codecs import functions
from pipelines.codecs.sql import literal


def connection() -> duckdb.DuckDBPyConnection:
    """In memory."""
    con = duckdb.connect()
    functions.add_to(con)
    return con


class Planned:
    """Queries on a column `v` of texts, whose places are `n`. Each is planned once: that and a connection take forty
    times as long as the answer for some texts."""

    def __init__(self) -> None:
        self._con = connection()
        self._con.execute("SET TimeZone = 'UTC'")
        self._names: dict[str, str] = {}

    def ask(self, query: str, column: Sequence[str | None]) -> list[Any]:
        """The rows of a query on `given(v, n)`; no text has the character NUL."""
        if query not in self._names:
            self._names[query] = name = f"planned_{len(self._names)}"
            given = "SELECT unnest($1::VARCHAR[]) AS v, unnest(range(len($1::VARCHAR[]))) AS n"
            self._con.execute(f"PREPARE {name} AS WITH given AS ({given}) {query}")
        listed = ", ".join("NULL" if text is None else literal(text) for text in column)
        return self._con.execute(f"EXECUTE {self._names[query]}([{listed}]::VARCHAR[])").fetchall()
