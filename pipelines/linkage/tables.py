"""The tables of the linkage zone: which row is about whom, and ids of persons. Reading and writing them as Delta."""

from collections.abc import Mapping, Sequence

import duckdb

from pipelines.codecs.sql import identifier, literal
from pipelines.lake import delta
from pipelines.lake.columns import query_schema
from pipelines.lake.edition import Prepared
from pipelines.lake.parquet import copy_rows
from pipelines.lake.zones import Lake

APPLICATION = "citylake.linkage"
LINK, ALIAS, CROSSWALK, EVENT = "link", "alias", "crosswalk", "event"

TABLES: Mapping[str, Mapping[str, str]] = {
    # One row for each row of a source that no exact number places. `person_id` is NULL while it is about nobody.
    LINK: {
        "dataset": "VARCHAR",
        "row_key": "VARCHAR",
        "link_batch": "BIGINT",
        "link_row": "BIGINT",
        "person_id": "VARCHAR",
        "why": "VARCHAR",
        "basis": "VARCHAR",
        "weight": "DOUBLE",
        "ahead": "DOUBLE",
        "model": "VARCHAR",
    },
    # Claims whose person has another id than the claim's own name: persons with several numbers. `person_id` is NULL
    # where the claim proves nothing: a row that it alone places is about nobody, and meets no other row by it.
    ALIAS: {"claim": "VARCHAR", "person_id": "VARCHAR"},
    # Every claim there ever was. Claims are never dropped: old ids resolve.
    CROSSWALK: {"claim": "VARCHAR", "person_id": "VARCHAR"},
    # What became of ids (`golden.Event`), in the run `number`.
    EVENT: {"number": "BIGINT", "kind": "VARCHAR", "person_id": "VARCHAR", "other": "VARCHAR"},
}
SHOWN = (LINK, ALIAS)
"""The tables that models read."""


def ensure(lake: Lake) -> None:
    """Make the tables that are missing, without rows."""
    with duckdb.connect() as con:
        for name, columns in TABLES.items():
            if delta.latest(lake.linkage(name)) is None:
                empty = ", ".join(f"CAST(NULL AS {kind}) AS {identifier(column)}" for column, kind in columns.items())
                replace(con, lake, name, f"SELECT {empty} WHERE false")


def missing(lake: Lake) -> bool:
    """Whether nothing was ever linked in this lake."""
    return delta.latest(lake.linkage(LINK)) is None


def shown(lake: Lake) -> dict[str, Prepared]:
    """The newest version of each table that models read, by relation."""
    return {
        f"linkage.{name}": Prepared(lake.linkage(name), delta.open_table(lake.linkage(name)).version())
        for name in SHOWN
    }


def read(lake: Lake, name: str, version: int | None = None) -> str:
    """SQL of a table."""
    found = delta.scan(delta.open_table(lake.linkage(name), version))
    return f"(SELECT {found.columns} FROM {found.source})"


def replace(con: duckdb.DuckDBPyConnection, lake: Lake, name: str, query: str, number: int = 0) -> None:
    """Replace a table by the rows of a query; if they are the same nothing is written. `number`: see `committed`."""
    con.execute(f"CREATE OR REPLACE TEMP TABLE written AS SELECT {_columns(name)} FROM ({query})")
    if delta.latest(lake.linkage(name)) is not None:
        old = read(lake, name)
        differ = f"(FROM written EXCEPT ALL FROM {old}) UNION ALL (FROM {old} EXCEPT ALL FROM written)"
        if con.execute(f"SELECT 1 FROM ({differ}) LIMIT 1").fetchone() is None:
            return
    _commit(con, lake, name, "table", number)


def append(con: duckdb.DuckDBPyConnection, lake: Lake, name: str, query: str, number: int) -> None:
    """Append the rows of a query; the number is kept even if there are none."""
    con.execute(f"CREATE OR REPLACE TEMP TABLE written AS SELECT {_columns(name)} FROM ({query})")
    _commit(con, lake, name, "append", number)


def _commit(con: duckdb.DuckDBPyConnection, lake: Lake, name: str, strategy: delta.Strategy, number: int) -> None:
    location = lake.linkage(name)
    files = copy_rows(con, "FROM written ORDER BY ALL", location)
    schema, base = query_schema(con, "FROM written", name), delta.latest(location)
    delta.commit(location, schema, strategy, base, files, transaction=(APPLICATION, number))


def _columns(name: str) -> str:
    return ", ".join(map(identifier, TABLES[name]))


def committed(lake: Lake, name: str) -> int:
    """The number of the last run that changed a table."""
    return delta.committed(lake.linkage(name), APPLICATION) or 0


def values(rows: Sequence[tuple[str | None, ...]], *names: str) -> str:
    """Rows as a relation; also without any."""
    columns = ", ".join(map(identifier, names))
    if not rows:
        empty = ", ".join(f"NULL::VARCHAR AS {identifier(name)}" for name in names)
        return f"(SELECT {empty} WHERE false)"
    texts = ", ".join(
        "(" + ", ".join("NULL::VARCHAR" if one is None else literal(one) for one in row) + ")" for row in rows
    )
    return f"(SELECT * FROM (VALUES {texts}) AS v({columns}))"
