"""Faults that departments commit with a whole table: columns renamed, dropped, added or with other contents, rows that
are missing, kept back, told again or all stamped anew.

The true table is moved backstage and a faulty view stands in its place, so every fault is immediate at any size, the
days go on behind it, and nothing is lost when it ends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from psycopg import sql

from simulator.disturbances import (
    CODES_EXCHANGED,
    GARBLED,
    HALF,
    HELD_BACK,
    MISSING_COLUMN,
    NEW_CODE,
    NEW_COLUMN,
    OTHER_UNIT,
    RENAMED_COLUMN,
    REPLAYED,
    RETYPED_COLUMN,
    SURGE,
    TOO_LATE,
    UNIT_DOUBLED,
    VANISHED,
    Fault,
)
from simulator.schema import BACKSTAGE, Connection
from simulator.server import READER

_PARTS = (HALF, VANISHED)
_KEPT_BACK = (HELD_BACK, TOO_LATE)


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


def commit(department: Connection, target: Target, fault: Fault) -> Fault:
    """Deliver a table wrongly from now on; returns the fault with the column's true name.

    Raises:
        NoSuchColumn: the column is not there at present, or the new name is taken.
        ValueError: a share that is none.
    """
    if not 0 <= fault.share <= 1:
        raise ValueError(f"a fraction lies between 0 and 1, not {fault.share}")
    names = _shown(_faults_of(department, target), target)
    column = _original(names, fault)
    _wait_briefly(department)
    department.execute(
        'INSERT INTO backstage.fault (dataset, kind, "column", value, share, seed, keys)'
        " VALUES (%s, %s, %s, %s, %s, %s, %s)",
        [target.dataset, fault.kind, column, fault.value, fault.share, fault.seed, list(fault.keys)],
    )
    if _is_backstage(department, target):
        department.execute(sql.SQL("DROP VIEW {}").format(target.front))
    else:
        _move_table(department, target.front, BACKSTAGE)
    department.execute(_faulty_view(target, _faults_of(department, target)))
    department.execute(sql.SQL("GRANT SELECT ON {} TO {}").format(target.front, sql.Identifier(READER)))
    return Fault(fault.kind, target.dataset, column, fault.value, fault.share, fault.seed, fault.keys)


def restore(department: Connection, target: Target) -> None:
    """End all faults of a table: the true one, with all that happened meanwhile, comes back."""
    _wait_briefly(department)
    department.execute("DELETE FROM backstage.fault WHERE dataset = %s", [target.dataset])
    if _is_backstage(department, target):
        department.execute(sql.SQL("DROP VIEW {}").format(target.front))
        _move_table(department, target.back, target.schema)


def newest_keys(department: Connection, target: Target, count: int) -> list[str]:
    """The keys of the rows with the greatest numbers, of a log."""
    rows = department.execute(
        sql.SQL("SELECT number::text FROM (SELECT {0} AS number FROM {1}) t ORDER BY t.number DESC LIMIT %s").format(
            sql.Identifier(target.key), true_table(department, target)
        ),
        [count],
    )
    return [key for (key,) in rows]


def _original(names: dict[str, str], fault: Fault) -> str | None:
    """The true name of the column that a fault is about."""
    column, shown = fault.column, list(names.values())
    if column is None:
        return None
    if fault.kind == NEW_COLUMN:
        if column in shown:
            raise NoSuchColumn(f"there is a column {column!r} already: the columns are {shown}")
        return column
    if column not in shown or (fault.kind == RENAMED_COLUMN and fault.value in shown):
        raise NoSuchColumn(f"{fault.kind}: no column {column!r}, or the new name is taken: the columns are {shown}")
    return next(original for original, name in names.items() if name == column)


def _faulty_view(target: Target, faults: Sequence[Fault]) -> sql.Composed:
    names = _shown(faults, target)
    columns = sql.SQL(", ").join(
        sql.SQL("{} AS {}").format(_expression(target, original, faults), sql.Identifier(shown))
        for original, shown in names.items()
    )
    key = sql.SQL("{}::text").format(sql.Identifier(target.key))
    missing = [_drawn(target, fault) for fault in faults if fault.kind in _PARTS]
    missing += [sql.SQL("{} <> ALL({})").format(key, _texts(fault)) for fault in faults if fault.kind in _KEPT_BACK]
    rows = sql.SQL("SELECT {} FROM {} WHERE {}").format(
        columns, target.back, sql.SQL(" AND ").join([sql.SQL("true"), *missing])
    )
    again = [
        sql.SQL(" UNION ALL SELECT {} FROM {} WHERE {} = ANY({})").format(columns, target.back, key, _texts(fault))
        for fault in faults
        if fault.kind == REPLAYED
    ]
    return sql.SQL("CREATE VIEW {} AS {}").format(target.front, sql.SQL("").join([rows, *again]))


def _texts(fault: Fault) -> sql.Composed:
    return sql.SQL("{}::text[]").format(sql.Literal(list(fault.keys)))


def _drawn(target: Target, fault: Fault) -> sql.Composed:
    """That a record is one of the share: its hash is a place from 0 to 1, the same as long as the table lives."""
    place = "(hashtextextended({}::text, {}) & 9223372036854775807)::float8 / 9223372036854775808.0 < {}"
    return sql.SQL(place).format(sql.Identifier(target.key), sql.Literal(fault.seed), sql.Literal(fault.share))


def _expression(target: Target, column: str, faults: Sequence[Fault]) -> sql.Composable:
    """What stands in a column."""
    value: sql.Composable = sql.Identifier(column) if column in target.columns else sql.Literal("?")
    for fault in faults:
        if fault.column == column and fault.kind in _CONTENTS:
            value = _CONTENTS[fault.kind](value, target, fault)
    return value


def _retyped(value: sql.Composable, target: Target, fault: Fault) -> sql.Composable:
    return sql.SQL("CAST(nullif({}, '') AS bigint)").format(value)


def _recoded(value: sql.Composable, target: Target, fault: Fault) -> sql.Composable:
    return sql.SQL("CASE WHEN {} THEN {} ELSE {} END").format(_drawn(target, fault), sql.Literal(fault.value), value)


def _exchanged(value: sql.Composable, target: Target, fault: Fault) -> sql.Composable:
    one, other = map(sql.Literal, str(fault.value).split())
    return sql.SQL("CASE {0} WHEN {1} THEN {2} WHEN {2} THEN {1} ELSE {0} END").format(value, one, other)


def _garbled(value: sql.Composable, target: Target, fault: Fault) -> sql.Composable:
    return sql.SQL("convert_from(convert_to({}, 'UTF8'), {})").format(value, sql.Literal(fault.value))


def _scaled(value: sql.Composable, target: Target, fault: Fault) -> sql.Composable:
    return sql.SQL(
        "CASE WHEN {0} ~ '^[0-9]+([.][0-9]+)?$' THEN trim_scale({0}::numeric * {1}::numeric)::text ELSE {0} END"
    ).format(value, sql.Literal(fault.value))


def _stamped(value: sql.Composable, target: Target, fault: Fault) -> sql.Composable:
    return sql.SQL("{}::timestamp(0)").format(sql.Literal(fault.value))


_CONTENTS: dict[str, Callable[[sql.Composable, Target, Fault], sql.Composable]] = {
    RETYPED_COLUMN: _retyped,
    NEW_CODE: _recoded,
    CODES_EXCHANGED: _exchanged,
    GARBLED: _garbled,
    OTHER_UNIT: _scaled,
    UNIT_DOUBLED: _scaled,
    SURGE: _stamped,
}
"""Faults that change what stands in a column."""


def _faults_of(department: Connection, target: Target) -> list[Fault]:
    rows = department.execute(
        'SELECT kind, dataset, "column", value, share, seed, keys FROM backstage.fault'
        " WHERE dataset = %s ORDER BY number",
        [target.dataset],
    )
    return [Fault(*rest, keys=tuple(keys)) for *rest, keys in rows]


def _shown(faults: Sequence[Fault], target: Target) -> dict[str, str]:
    """The columns now delivered: their true names with the names they are delivered under."""
    names = {name: name for name in target.columns}
    for fault in faults:
        if fault.kind == RENAMED_COLUMN:
            names[str(fault.column)] = str(fault.value)
        elif fault.kind == MISSING_COLUMN:
            del names[str(fault.column)]
        elif fault.kind == NEW_COLUMN:
            names[str(fault.column)] = str(fault.column)
    return names


def _is_backstage(department: Connection, target: Target) -> bool:
    place = f'{BACKSTAGE}."{target.name}"'
    return department.execute("SELECT to_regclass(%s) IS NOT NULL", [place]).fetchone() == (True,)


def _move_table(department: Connection, table: sql.Identifier, schema: str) -> None:
    department.execute(sql.SQL("ALTER TABLE {} SET SCHEMA {}").format(table, sql.Identifier(schema)))


def _wait_briefly(department: Connection) -> None:
    """A reader who keeps a transaction open would otherwise make the fault wait for ever."""
    department.execute("SET LOCAL lock_timeout = '30s'")
