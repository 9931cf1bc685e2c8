"""A table of a recipient, whatever database it is in: what deliveries need of it.

How an engine does it is in the module of its name. Errors of drivers may quote rows, so only their kind and code leave.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields
from typing import Any, Protocol

from catalog.delivery.tables.rows import CHECK, ROW, Totals
from pipelines.messages import CitylakeError

POSITIONS = "_citylake_position"
"""The table, beside those delivered to, with one row for each delivery."""
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


FIELDS = tuple(field.name for field in fields(Position))
NOWHERE = Position("", None, "", 0, 0, "", "", "")


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

    def prepare(self, name: str, columns: Mapping[str, str]) -> None:
        """Create the table and the positions, or check that they fit; add columns that are new. Commits by itself.

        `columns`: Delta types by name.
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

    def close(self) -> None:
        """Give up the connection."""


def own_columns(columns: Sequence[str]) -> list[str]:
    """The columns of a view, then our own."""
    return [*columns, ROW, CHECK]


def misfit(target: Target, column: str, problem: str) -> CitylakeError:
    """The error about a table that is there and does not fit."""
    return CitylakeError(
        "deliver.misfit", connection=target.connection, table=target.table, column=column, problem=problem
    )
