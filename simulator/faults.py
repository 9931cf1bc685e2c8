"""Faults that departments commit with a whole table: columns renamed, dropped or added, half of the rows missing.

The true table is moved backstage and a faulty view stands in its place, so every fault is immediate at any size, the
days go on behind it, and nothing is lost when it ends.
"""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import sql

from simulator.schema import BACKSTAGE, Connection
from simulator.server import READER

RENAME, DROP, ADD, PART = "rename_column", "drop_column", "add_column", "deliver_part"


class NoSuchColumn(ValueError):
    """The department's table, as it looks at present, has no column of this name (or already has the new one)."""


@dataclass(frozen=True, slots=True)
class Target:
    """A table that may be delivered wrongly. `key`: the column whose value all rows of one record share."""

    schema: str
    name: str
    key: str
    columns: tuple[str, ...]

    @property
    def front(self) -> sql.Identifier:
        """Where readers look."""
        return sql.Identifier(self.schema, self.name)

    @property
    def back(self) -> sql.Identifier:
        """Where the table stands while a view is in front of it."""
        return sql.Identifier(BACKSTAGE, self.name)

    @property
    def dataset(self) -> str:
        """As a contract names it."""
        return f"{self.schema}.{self.name}"


def true_table(department: Connection, target: Target) -> sql.Identifier:
    """The table that holds the department's rows, wherever it stands at present."""
    return target.back if _is_backstage(department, target) else target.front


def rename_column(department: Connection, target: Target, old: str, new: str) -> None:
    """Deliver a column under another name."""
    names = _shown(department, target)
    if old not in names.values() or new in names.values():
        raise NoSuchColumn(f"cannot rename {old!r} to {new!r}: the columns are {list(names.values())}")
    _add(department, target, RENAME, _original(names, old), new_name=new)


def drop_column(department: Connection, target: Target, name: str) -> None:
    """Stop delivering a column."""
    names = _shown(department, target)
    if name not in names.values():
        raise NoSuchColumn(f"no column {name!r}: the columns are {list(names.values())}")
    _add(department, target, DROP, _original(names, name))


def add_column(department: Connection, target: Target, name: str) -> None:
    """Deliver a column nobody spoke of, with the same text in every row."""
    names = _shown(department, target)
    if name in names.values():
        raise NoSuchColumn(f"there is a column {name!r} already: the columns are {list(names.values())}")
    _add(department, target, ADD, name)


def deliver_part(department: Connection, target: Target, fraction: float, seed: int) -> None:
    """Show only about this fraction of the rows, all or none of a record's; the same seed shows the same ones."""
    if not 0 <= fraction <= 1:
        raise ValueError(f"a fraction lies between 0 and 1, not {fraction}")
    _add(department, target, PART, fraction=fraction, seed=seed)


def restore(department: Connection, target: Target) -> None:
    """End all faults of a table: the true one, with all that happened meanwhile, comes back."""
    _wait_briefly(department)
    department.execute("DELETE FROM backstage.fault WHERE dataset = %s", [target.dataset])
    if _is_backstage(department, target):
        department.execute(sql.SQL("DROP VIEW {}").format(target.front))
        _move_table(department, target.back, target.schema)


def _add(
    department: Connection,
    target: Target,
    kind: str,
    column: str | None = None,
    new_name: str | None = None,
    fraction: float | None = None,
    seed: int | None = None,
) -> None:
    _wait_briefly(department)
    department.execute(
        'INSERT INTO backstage.fault (dataset, kind, "column", new_name, fraction, seed)'
        " VALUES (%s, %s, %s, %s, %s, %s)",
        [target.dataset, kind, column, new_name, fraction, seed],
    )
    if _is_backstage(department, target):
        department.execute(sql.SQL("DROP VIEW {}").format(target.front))
    else:
        _move_table(department, target.front, BACKSTAGE)
    department.execute(_faulty_view(department, target))
    department.execute(sql.SQL("GRANT SELECT ON {} TO {}").format(target.front, sql.Identifier(READER)))


def _faulty_view(department: Connection, target: Target) -> sql.Composed:
    columns = sql.SQL(", ").join(
        sql.SQL("{} AS {}").format(
            sql.Identifier(original) if original in target.columns else sql.Literal("?"), sql.Identifier(shown)
        )
        for original, shown in _shown(department, target).items()
    )
    # A record's hash is a place between 0 and 1 that stays the same while the table changes.
    place = "(hashtextextended({}::text, {}) & 9223372036854775807)::float8 / 9223372036854775808.0 < {}"
    parts = department.execute(
        "SELECT seed, fraction FROM backstage.fault WHERE dataset = %s AND kind = %s ORDER BY number",
        [target.dataset, PART],
    )
    conditions = [
        sql.SQL(place).format(sql.Identifier(target.key), sql.Literal(seed), sql.Literal(fraction))
        for seed, fraction in parts
    ]
    return sql.SQL("CREATE VIEW {} AS SELECT {} FROM {} WHERE {}").format(
        target.front, columns, target.back, sql.SQL(" AND ").join([sql.SQL("true"), *conditions])
    )


def _shown(department: Connection, target: Target) -> dict[str, str]:
    """The columns now delivered: their true names with the names they are delivered under."""
    names = {name: name for name in target.columns}
    for kind, column, new_name in department.execute(
        'SELECT kind, "column", new_name FROM backstage.fault WHERE dataset = %s ORDER BY number', [target.dataset]
    ):
        if kind == RENAME:
            names[column] = new_name
        elif kind == DROP:
            del names[column]
        elif kind == ADD:
            names[column] = column
    return names


def _original(names: dict[str, str], shown: str) -> str:
    return next(original for original, name in names.items() if name == shown)


def _is_backstage(department: Connection, target: Target) -> bool:
    place = f'{BACKSTAGE}."{target.name}"'
    return department.execute("SELECT to_regclass(%s) IS NOT NULL", [place]).fetchone() == (True,)


def _move_table(department: Connection, table: sql.Identifier, schema: str) -> None:
    department.execute(sql.SQL("ALTER TABLE {} SET SCHEMA {}").format(table, sql.Identifier(schema)))


def _wait_briefly(department: Connection) -> None:
    """A reader who keeps a transaction open would otherwise make the fault wait for ever."""
    department.execute("SET LOCAL lock_timeout = '30s'")
