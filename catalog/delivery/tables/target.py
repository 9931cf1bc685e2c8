"""A table of a recipient, whatever database it is in: what deliveries need of it.

How an engine does it is in the module of its name. Errors of drivers may quote rows, so only their kind and code leave.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields
from typing import Any, Protocol

from catalog.delivery.dictionary import Entry
from catalog.delivery.tables.rows import CHECK, ROW, Totals
from pipelines.messages import CitylakeError

POSITIONS = "_citylake_position"
"""The table, beside those delivered to, with one row for each delivery."""
DICTIONARY = "_citylake_dictionary"
"""The table, beside those delivered to, with one row for each column of each delivery: what it means."""
CURRENT = "current"
"""The state of a position whose rows may be used; any other is the reason why no more rows come."""


@dataclass(frozen=True)
class Position:
    """Where a delivery stands at the recipient. `version` is None before the first; `policy` names what the grant let
    through and how rows are named; statement and signature are the last receipt."""

    product: str
    version: int | None
    policy: str
    rows: int
    checksum: int
    state: str
    statement: str
    signature: str


_DECIMAL = re.compile(r"decimal(?:\((\d+),\s*(\d+)\))?")
FIELDS = tuple(field.name for field in fields(Position))
_SAID = ("name_zh", "name_en", "type", "level", "mask", "unit", "standard", "codes", "description")
"""What the dictionary says of a column that stands here by the same name."""
MEANINGS = ("number", "column_name", *_SAID, "licence")
Meaning = tuple[int | str | None, ...]
"""What one column of a table means: the values of MEANINGS. `number`: its place, from 1 on."""
NOWHERE = Position("", None, "", 0, 0, "", "", "")


def meanings(entries: Sequence[Entry], licence: str | None) -> list[Meaning]:
    """The rows of the dictionary beside a table of these columns."""
    return [
        (number, one.column, *(getattr(one, name) for name in _SAID), licence) for number, one in enumerate(entries, 1)
    ]


def read_position(rows: Sequence[Sequence[Any]]) -> Position:
    """The position in a row of FIELDS, NOWHERE if there is none."""
    if not rows:
        return NOWHERE
    found = dict(zip(FIELDS, rows[0], strict=True))
    return Position(**{**found, "checksum": int(found["checksum"])})


class Target(Protocol):
    """One table over one connection. Every method raises CitylakeError, told by `connection` and `table`."""

    connection: str
    table: str

    def prepare(self, name: str, columns: Mapping[str, Any]) -> None:
        """Create the table and the positions, or check that they fit; add columns that are new. Commits by itself.

        `columns`: Delta types by name, as its JSON says them.
        """

    def exists(self) -> bool:
        """Whether the table of positions is there."""

    def transaction(self, name: str) -> AbstractContextManager[Position]:
        """A transaction that nobody else delivers `name` in: committed at its end, rolled back by any error."""

    def empty(self) -> None:
        """Delete all rows."""

    def put(self, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
        """Insert rows, or replace those of the same names. `columns` without our own two."""

    def drop(self, names: Sequence[str]) -> None:
        """Delete the rows of these names."""

    def totals(self) -> Totals:
        """What the table holds now."""

    def move(self, name: str, position: Position) -> None:
        """Write the position."""

    def described(self, name: str) -> list[Meaning]:
        """What is written there of the meaning of its columns, in their order."""

    def describe(self, name: str, said: Sequence[Meaning]) -> None:
        """Write what its columns mean."""

    def close(self) -> None:
        """Give up the connection."""


def own_columns(columns: Sequence[str]) -> list[str]:
    """The columns of a view, then our own."""
    return [*columns, ROW, CHECK]


def column_types(columns: Mapping[str, Any], types: Mapping[str, str]) -> dict[str, str]:
    """What columns of Delta types are in a database. Raises CitylakeError for one that no column of it can hold."""
    found = {}
    for name, kind in columns.items():
        if not isinstance(kind, str) or not (kind in types or _DECIMAL.fullmatch(kind)):
            told = kind if isinstance(kind, str) else kind["type"]
            raise CitylakeError("deliver.type", column=name, kind=told)
        found[name] = types.get(kind, kind)
    return found


def fits(there: str, wanted: str, also: Sequence[str]) -> bool:
    """Whether a column holds every value of the wanted type; decimals if there is room before and after the point."""
    has, asks = _DECIMAL.fullmatch(there), _DECIMAL.fullmatch(wanted)
    if has is None or asks is None:
        return there in (wanted, *also)
    if has[1] is None:
        return True
    digits, places = int(has[1]), int(has[2])
    return places >= int(asks[2]) and digits - places >= int(asks[1]) - int(asks[2])


def check_values(
    target: Target, columns: Sequence[str], rows: Sequence[Sequence[Any]], bad: Callable[[Any], str]
) -> None:
    """Raises CitylakeError that names the column of the first value that the database cannot hold. `bad` says what is
    wrong with a value, "" if nothing is."""
    for row in rows:
        for name, value in zip(own_columns(columns), row, strict=True):
            if problem := bad(value):
                raise CitylakeError(
                    "deliver.value", connection=target.connection, table=target.table, column=name, problem=problem
                )


def misfit(target: Target, column: str, problem: str) -> CitylakeError:
    """The error about a table that is there and does not fit."""
    return CitylakeError(
        "deliver.misfit", connection=target.connection, table=target.table, column=column, problem=problem
    )
