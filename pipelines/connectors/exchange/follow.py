"""Following the change feed of a shared table: the rows that were pulled last, with what changed since, as a new whole.

What a pull brings stays the whole table, so every load mode and its guards work as for a snapshot; only what travels is
less. Nothing is taken on trust: the feed is followed only from rows that are kept, and the new whole must have as many
rows as the server says the version has. Otherwise it is not followed, and the caller pulls the snapshot.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import duckdb

from pipelines.codecs.sql import identifier, literal, literals
from pipelines.connectors.base import EMPTIED, ERASED, Request
from pipelines.connectors.exchange.answers import SharedTable
from pipelines.connectors.exchange.files import Part, download
from pipelines.connectors.exchange.rows import casts, rows_of
from pipelines.connectors.exchange.server import NoFeed, Server
from pipelines.engine import connect
from pipelines.lake.errors import NO_SPACE
from pipelines.lake.parquet import write_file
from pipelines.messages import CitylakeError

CHANGE: Final = "_change_type"
_TIMES, _NUMBER, _STAYS = "_citylake_times", "_citylake_number", "_citylake_stays"
CAME, WENT = ("insert", "update_postimage"), ("delete", "update_preimage")


def shape(table: SharedTable) -> str:
    """What has to be the same for changes of the table to fit rows that were pulled before."""
    looks = json.dumps([table.id, list(table.types.items()), table.partition_by])
    return hashlib.sha256(looks.encode()).hexdigest()


def followed(request: Request, server: Server, seen: SharedTable, folder: Path) -> int:
    """Write the version that was seen, made of the rows that are kept and of its changes; how many rows it has.

    Raises NoFeed, saying why, if no feed leads there; CitylakeError as any pull.
    """
    held = _held(request, seen)
    if (previous := request.previous()) is None:
        raise NoFeed("kept")
    try:
        changed, parts = download(server, folder, lambda: server.changes(held + 1, seen.version))
    except CitylakeError as error:
        if error.code not in ("pull.exchange_file", "pull.exchange_changing"):
            raise
        raise NoFeed("files") from None
    if shape(changed) != shape(seen):
        raise NoFeed("columns")
    with connect(request.scratch) as con:
        try:
            count = _applied(con, previous, request.target, seen, parts)
        except duckdb.Error as error:
            if NO_SPACE.search(str(error)):
                raise
            raise NoFeed(type(error).__name__) from None  # its text quotes values
    now, files = server.query()
    told = [file.rows for file in files]
    if now.position != seen.position or None in told or sum(rows for rows in told if rows is not None) != count:
        raise NoFeed("rows")
    return count


def _held(request: Request, seen: SharedTable) -> int:
    """The version that was pulled last. Raises NoFeed if none was, or changes since then would not fit it."""
    position: dict[str, Any] = dict(request.position)
    if position.get("shape") != shape(seen):
        raise NoFeed("first")
    if position["version"] >= seen.version:  # other rows of the same version: what the grant shows has changed
        raise NoFeed("version")
    return int(position["version"])


def _applied(
    con: duckdb.DuckDBPyConnection, previous: Path, target: Path, table: SharedTable, parts: Sequence[Part]
) -> int:
    """The kept rows and those that came, each row that went taken away as often as it went."""
    kept = f"read_parquet({literal(str(previous))}, hive_partitioning = false)"
    names = {name for name, *_ in con.execute(f"DESCRIBE SELECT * FROM {kept}").fetchall()}
    if names & {ERASED, EMPTIED} or not names >= set(table.columns):
        raise NoFeed("erased")
    columns = ", ".join(map(identifier, table.columns))
    changes = _changes(con, table, parts)
    came, went = (_changed(con, table, changes, parts, kinds) for kinds in (CAME, WENT))
    con.execute(
        f"CREATE TABLE went AS SELECT {columns}, count(*) AS {_TIMES}, row_number() OVER () AS {_NUMBER}"
        f" FROM ({went}) GROUP BY {columns}"
    )
    same = " AND ".join(f"p.{name} IS NOT DISTINCT FROM w.{name}" for name in map(identifier, table.columns))
    pool = f"(SELECT {casts(table)} FROM {kept} f UNION ALL {came})"
    con.execute(
        f"CREATE TABLE hit AS SELECT p.*, row_number() OVER (PARTITION BY w.{_NUMBER}) > w.{_TIMES} AS {_STAYS}"
        f" FROM {pool} p JOIN went w ON {same}"
    )
    gone = f"(SELECT count(*) FROM hit WHERE NOT {_STAYS}) = (SELECT coalesce(sum({_TIMES}), 0) FROM went)"
    if con.execute(f"SELECT {gone}").fetchone() != (True,):
        raise NoFeed("rows")  # a row went that is not kept
    stayed = f"SELECT {columns} FROM {pool} p ANTI JOIN went w ON {same}"
    return write_file(con, f"{stayed} UNION ALL SELECT {columns} FROM hit WHERE {_STAYS}", target)


def _changes(con: duckdb.DuckDBPyConnection, table: SharedTable, parts: Sequence[Part]) -> str:
    """A query of the rows in files of changes. Raises NoFeed if a change is neither of what came nor of what went:
    passed over, it might leave the number of rows as it should be."""
    wide = replace(table, types={**table.types, CHANGE: "VARCHAR"})
    changes = rows_of(con, wide, [part for part in parts if part.kind == "changes"])
    known = f"coalesce({identifier(CHANGE)} IN ({literals(CAME + WENT)}), false)"
    if con.execute(f"SELECT coalesce(bool_and({known}), true) FROM ({changes})").fetchone() != (True,):
        raise NoFeed("kinds")
    return changes


def _changed(
    con: duckdb.DuckDBPyConnection, table: SharedTable, changes: str, parts: Sequence[Part], kinds: Sequence[str]
) -> str:
    """A query of the rows that came, or went: those of some changes, and from whole files."""
    columns = ", ".join(map(identifier, table.columns))
    whole = [part for part in parts if part.kind == kinds[0]]
    return (
        f"SELECT {columns} FROM ({changes}) WHERE {identifier(CHANGE)} IN ({literals(kinds)})"
        f" UNION ALL SELECT {columns} FROM ({rows_of(con, table, whole)})"
    )
