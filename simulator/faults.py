"""Faults that departments commit with a whole table: columns renamed or dropped, half of the rows missing.

The true table is moved backstage and a faulty view stands in its place, so every fault is immediate at any size, the
days go on behind it, and nothing is lost when it ends.
"""

from __future__ import annotations

from psycopg import sql

from simulator.department import COLUMN_NAMES, SCHEMA, TABLE
from simulator.schema import BACKSTAGE, Connection
from simulator.server import READER

RENAME, DROP, PART = "rename_column", "drop_column", "deliver_part"

_FRONT, _BACK = sql.Identifier(SCHEMA, TABLE), sql.Identifier(BACKSTAGE, TABLE)


class NoSuchColumn(ValueError):
    """The department's table, as it looks at present, has no column of this name (or already has the new one)."""


def true_table(department: Connection) -> sql.Identifier:
    """The table that holds the department's rows, wherever it stands at present."""
    return _BACK if _is_backstage(department) else _FRONT


def rename_column(department: Connection, old: str, new: str) -> None:
    """Deliver a column under another name."""
    names = _shown(department)
    if old not in names.values() or new in names.values():
        raise NoSuchColumn(f"cannot rename {old!r} to {new!r}: the columns are {list(names.values())}")
    _add(department, RENAME, _original(names, old), new_name=new)


def drop_column(department: Connection, name: str) -> None:
    """Stop delivering a column."""
    names = _shown(department)
    if name not in names.values():
        raise NoSuchColumn(f"no column {name!r}: the columns are {list(names.values())}")
    _add(department, DROP, _original(names, name))


def deliver_part(department: Connection, fraction: float, seed: int) -> None:
    """Show only about this fraction of the rows, all or none of a record's; the same seed shows the same ones."""
    if not 0 <= fraction <= 1:
        raise ValueError(f"a fraction lies between 0 and 1, not {fraction}")
    _add(department, PART, fraction=fraction, seed=seed)


def restore(department: Connection) -> None:
    """End all faults: the true table, with all that happened meanwhile, comes back."""
    _wait_briefly(department)
    department.execute("DELETE FROM backstage.fault")
    if _is_backstage(department):
        department.execute(sql.SQL("DROP VIEW {}").format(_FRONT))
        _move_table(department, _BACK, SCHEMA)


def _add(
    department: Connection,
    kind: str,
    column: str | None = None,
    new_name: str | None = None,
    fraction: float | None = None,
    seed: int | None = None,
) -> None:
    _wait_briefly(department)
    department.execute(
        'INSERT INTO backstage.fault (kind, "column", new_name, fraction, seed) VALUES (%s, %s, %s, %s, %s)',
        [kind, column, new_name, fraction, seed],
    )
    if _is_backstage(department):
        department.execute(sql.SQL("DROP VIEW {}").format(_FRONT))
    else:
        _move_table(department, _FRONT, BACKSTAGE)
    department.execute(_faulty_view(department))
    department.execute(sql.SQL("GRANT SELECT ON {} TO {}").format(_FRONT, sql.Identifier(READER)))


def _faulty_view(department: Connection) -> sql.Composed:
    columns = sql.SQL(", ").join(
        sql.SQL("{} AS {}").format(sql.Identifier(original), sql.Identifier(shown))
        for original, shown in _shown(department).items()
    )
    # A record's hash is a place between 0 and 1 that stays the same while the table changes.
    place = '(hashtextextended("RYBH", {}) & 9223372036854775807)::float8 / 9223372036854775808.0'
    parts = department.execute("SELECT seed, fraction FROM backstage.fault WHERE kind = %s ORDER BY number", [PART])
    conditions = [sql.SQL(place + " < {}").format(sql.Literal(seed), sql.Literal(fraction)) for seed, fraction in parts]
    return sql.SQL("CREATE VIEW {} AS SELECT {} FROM {} WHERE {}").format(
        _FRONT, columns, _BACK, sql.SQL(" AND ").join([sql.SQL("true"), *conditions])
    )


def _shown(department: Connection) -> dict[str, str]:
    """The columns now delivered: their true names with the names they are delivered under."""
    names = {name: name for name in COLUMN_NAMES}
    for kind, column, new_name in department.execute(
        'SELECT kind, "column", new_name FROM backstage.fault ORDER BY number'
    ):
        if kind == RENAME:
            names[column] = new_name
        elif kind == DROP:
            del names[column]
    return names


def _original(names: dict[str, str], shown: str) -> str:
    return next(original for original, name in names.items() if name == shown)


def _is_backstage(department: Connection) -> bool:
    row = department.execute(f"""SELECT to_regclass('{BACKSTAGE}."{TABLE}"') IS NOT NULL""").fetchone()
    return row == (True,)


def _move_table(department: Connection, table: sql.Identifier, schema: str) -> None:
    department.execute(sql.SQL("ALTER TABLE {} SET SCHEMA {}").format(table, sql.Identifier(schema)))


def _wait_briefly(department: Connection) -> None:
    """A reader who keeps a transaction open would otherwise make the fault wait for ever."""
    department.execute("SET LOCAL lock_timeout = '30s'")
