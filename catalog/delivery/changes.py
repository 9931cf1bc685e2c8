"""Change sets: what one policy's view of a version became in its view of a later version, row by row.

Made of the two views alone, never of the released tables behind them, so that a change file can hold nothing that no
view shows. Rows that enter or leave what the policy lets through are inserts and deletes. Each is built once for its
two versions and its policy, and lies beside the views of the later version.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path

import duckdb

from catalog.delivery.extracts import Extract
from catalog.delivery.views import Views, read_extract, write_extract
from catalog.policy.decision import Allowed
from pipelines.codecs.sql import identifier, literal
from pipelines.contracts.resolved import Product

CHANGE_TYPE = "_change_type"
"""The column of a change set that says what happened, as Delta's change data feed names it."""
INSERT, DELETE, BEFORE, AFTER = "insert", "delete", "update_preimage", "update_postimage"

FORMAT = 1
"""Part of a change set's key: raise it when change sets of the same views are built differently."""
_KEY = re.compile(rf"changes-{FORMAT}-([0-9]{{1,9}})-(.+)", re.ASCII)


class SchemaChanged(Exception):
    """The two views have other columns, or columns of other types: no row of one can be told as a row of the other."""


def change_set(views: Views, before: Allowed, after: Allowed, key: Sequence[str]) -> Extract:
    """The changes between two versions under one policy: the columns of both views and `_change_type`.

    With a `key` that names one row in each view, a row that stays is `update_preimage` and `update_postimage`;
    otherwise every row that is there more or less often is told by `insert` and `delete`, as often as it differs.
    Raises SchemaChanged, LakeError.
    """
    old, new = both(views, before, after)
    name = f"changes-{FORMAT}-{before.version}-{key_named(key)}-{new.key}"

    def build(partial: Path) -> None:
        with views.folders.connection() as con:
            write_extract(con, _changes(con, old, new, key), partial, after.product)

    return read_extract(views.beside(after, name, build, old.rows + new.rows), after.product, after.version, name)


def both(views: Views, before: Allowed, after: Allowed) -> tuple[Extract, Extract]:
    """The views of two versions. Raises SchemaChanged, LakeError."""
    old, new = views.extract(before), views.extract(after)
    if _types(old) != _types(new):
        raise SchemaChanged
    return old, new


def since(key: str) -> int | None:
    """The earlier version of a change set by its key, None for the key of a view."""
    found = _KEY.fullmatch(key)
    return int(found[1]) if found else None


def shown_key(product: Product, columns: Sequence[str]) -> tuple[str, ...]:
    """The shown columns that name a row: those of the contract's key, as they are or keyed; empty if one is not shown.

    A mask that shows less than the value may show two rows alike.
    """
    shown = {
        column.source: column.name
        for column in product.columns
        if column.name in columns and (column.mask is None or column.pseudonymised)
    }
    key = product.contract.form.key
    return tuple(shown[name] for name in key) if shown.keys() >= set(key) else ()


def key_named(key: Sequence[str]) -> str:
    """A short name of the columns that name rows: what was made by one key is not taken for what another makes."""
    return hashlib.sha256(json.dumps(list(key)).encode()).hexdigest()[:12] if key else "rows"


def names_rows(con: duckdb.DuckDBPyConnection, extract: Extract, key: Sequence[str]) -> bool:
    """Whether the key is never empty and names one row each."""
    listed = ", ".join(map(identifier, key))
    empty = " OR ".join(f"{identifier(name)} IS NULL" for name in key)
    query = f"SELECT 1 FROM {extract.relation} GROUP BY {listed} HAVING count(*) > 1 OR {empty} LIMIT 1"
    return con.execute(query).fetchone() is None


def counted(con: duckdb.DuckDBPyConnection, changes: Extract) -> dict[str, int]:
    """How many rows a change set inserts, updates and deletes."""
    query = f"SELECT {CHANGE_TYPE}, count(*) FROM {changes.relation} GROUP BY 1"
    found = dict(con.execute(query).fetchall())
    return {"inserted": found.get(INSERT, 0), "updated": found.get(BEFORE, 0), "deleted": found.get(DELETE, 0)}


def _types(extract: Extract) -> dict[str, object]:
    return {field["name"]: field["type"] for field in extract.fields}


def _changes(con: duckdb.DuckDBPyConnection, old: Extract, new: Extract, key: Sequence[str]) -> str:
    by_key = key and all(names_rows(con, one, key) for one in (old, new))
    changes = _changes_by_key(old, new, key) if by_key else _changes_of_rows(old, new)
    return f"{changes} ORDER BY {', '.join(map(identifier, (*new.columns, CHANGE_TYPE)))}"


def _changes_by_key(old: Extract, new: Extract, key: Sequence[str]) -> str:
    same = " AND ".join(f"o.{identifier(name)} = n.{identifier(name)}" for name in key)
    first = identifier(key[0])
    columns = [identifier(name) for name in new.columns]
    differs = [f"o.{name} IS DISTINCT FROM n.{name}" for name in columns]
    shown = ", ".join(f"CASE WHEN late THEN n.{name} ELSE o.{name} END AS {name}" for name in columns)
    return f"""
    SELECT {shown}, CASE WHEN o.{first} IS NULL THEN {literal(INSERT)} WHEN n.{first} IS NULL THEN {literal(DELETE)}
        WHEN late THEN {literal(AFTER)} ELSE {literal(BEFORE)} END AS {CHANGE_TYPE}
    FROM (SELECT * FROM {old.relation}) o FULL JOIN (SELECT * FROM {new.relation}) n ON {same}
    CROSS JOIN (VALUES (false), (true)) AS side(late)
    WHERE ({" OR ".join(differs)}) AND CASE WHEN late THEN n.{first} ELSE o.{first} END IS NOT NULL"""


def _changes_of_rows(old: Extract, new: Extract) -> str:
    columns = ", ".join(map(identifier, new.columns))
    return f"""
    SELECT {columns}, CASE WHEN more > 0 THEN {literal(INSERT)} ELSE {literal(DELETE)} END AS {CHANGE_TYPE}
    FROM (
        SELECT {columns}, sum(one) AS more, unnest(range(abs(sum(one))::BIGINT)) AS copy
        FROM (
            SELECT {columns}, 1 AS one FROM {new.relation} UNION ALL SELECT {columns}, -1 FROM {old.relation}
        ) GROUP BY {columns}
    )"""
