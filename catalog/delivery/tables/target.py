"""A table of a recipient, whatever database it is in: what deliveries need of it.

How an engine does it is in the module of its name. Errors of drivers may quote rows, so only their kind and code leave.
"""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any, Literal, Protocol

from catalog.delivery.dictionary import Entry
from catalog.delivery.tables.rows import CHECK, ROW, Room, Totals
from pipelines.messages import CitylakeError

POSITIONS = "_citylake_position"
"""The table, beside those delivered to, with one row for each delivery."""
DICTIONARY = "_citylake_dictionary"
"""The table, beside those delivered to, with one row for each column of each delivery: what it means."""
PROGRESS = "_citylake_progress"
"""The table, beside those delivered to, with one row for each delivery whose rows are being loaded."""
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


@dataclass(frozen=True)
class Progress:
    """How far the loading of all rows has come: of which version, under which policy, up to which row (they come in the
    order of their names), and what the staging table holds by then."""

    product: str
    version: int
    policy: str
    last_row: str = ""
    loaded: int = 0
    checksum: int = 0

    @property
    def totals(self) -> Totals:
        return Totals(self.loaded, self.checksum)

    def leads_to(self, other: "Progress") -> bool:
        """Whether the same rows are being loaded."""
        return (self.product, self.version, self.policy) == (other.product, other.version, other.policy)

    def after(self, put: Sequence[tuple[Any, ...]]) -> "Progress":
        """The same after one more batch; `put`: rows that end with their name and check."""
        checks = sum(row[-1] for row in put)
        return replace(self, last_row=put[-1][-2], loaded=self.loaded + len(put), checksum=self.checksum + checks)


_DECIMAL = re.compile(r"decimal(?:\((\d+),\s*(\d+)\))?")
FIELDS = tuple(field.name for field in fields(Position))
_SAID = ("name_zh", "name_en", "type", "level", "mask", "unit", "standard", "codes", "description")
"""What the dictionary says of a column that stands here by the same name."""
MEANINGS = ("number", "column_name", *_SAID, "licence")
Meaning = tuple[int | str | None, ...]
"""What one column of a table means: the values of MEANINGS. `number`: its place, from 1 on."""
NUMBER, OPERATION, VERSION, TIME = "_citylake_number", "_citylake_operation", "_citylake_version", "_citylake_time"
SINCE = "_citylake_since"
"""Of a table of changes, before the name and the columns of the row: its place, what happened, which version it is part
of, when it was delivered, and which version it leads on from: a row that is gone has its values from there."""
MOMENT = (OPERATION, VERSION, TIME, SINCE)
"""What `log` and `begin_log` write of a change, whatever row it is of."""
Operation = Literal["F", "I", "U", "D"]
"""`F`: all rows were delivered anew, the table itself is what later changes are to be applied to; `I`, `U`, `D`: a row
came, has these values now, or is gone and had them."""
STEPS = tuple(field.name for field in fields(Progress))
AT_ONCE = 100_000
"""Rows that one statement takes over from a staging table."""
NOWHERE = Position("", None, "", 0, 0, "", "", "")


def meanings(entries: Sequence[Entry], licence: str | None) -> list[Meaning]:
    """The rows of the dictionary beside a table of these columns."""
    return [
        (number, one.column, *(getattr(one, name) for name in _SAID), licence) for number, one in enumerate(entries, 1)
    ]


@dataclass(frozen=True)
class Moment:
    """What all rows of a table of changes say that one delivery writes."""

    version: int
    time: datetime
    columns: tuple[str, ...]
    since: int


def staging_name(delivery: str) -> str:
    """The table beside the target in which all rows of a delivery are gathered before they take its place."""
    return f"_citylake_load_{hashlib.sha256(delivery.encode()).hexdigest()[:12]}"


def slices(rows: int) -> list[tuple[str, str | None]]:
    """The parts in which a staging table of so many rows is taken over, by names of rows, which are hexadecimal: from,
    and up to before, None for the last. No statement of a large table then runs as long as the whole does."""
    begins = [f"{number:02x}" for number in range(256)] if rows > AT_ONCE else [""]
    return list(zip(begins, [*begins[1:], None], strict=True))


def read_progress(rows: Sequence[Sequence[Any]]) -> Progress | None:
    """The progress in a row of STEPS, None if there is none."""
    if not rows:
        return None
    found = dict(zip(STEPS, rows[0], strict=True))
    return Progress(**{**found, "checksum": int(found["checksum"])})


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

    def prepare(self, name: str, columns: Mapping[str, Any], changes: bool = False) -> None:
        """Create the table and the positions, or check that they fit; add columns that are new. Commits by itself.

        `columns`: Delta types by name, as its JSON says them; `changes`: with the table of changes.
        """

    def room(self, changes: bool = False) -> list[Room]:
        """The columns of the table, and of its table of `changes`, that do not hold texts and bytes of any length."""

    def exists(self) -> bool:
        """Whether the table of positions is there."""

    def transaction(self, name: str) -> AbstractContextManager[Position]:
        """A transaction that nobody else delivers `name` in: committed at its end, rolled back by any error."""

    def empty(self) -> None:
        """Delete all rows."""

    def put(self, columns: Sequence[str], rows: Sequence[tuple[Any, ...]], staging: str | None = None) -> None:
        """Insert rows, or replace those of the same names, in the table or a staging table beside it. `columns` without
        our own two."""

    def drop(self, names: Sequence[str]) -> None:
        """Delete the rows of these names."""

    def totals(self, staging: str | None = None) -> Totals:
        """What the table, or a staging table beside it, holds now."""

    def stage(self, name: str, columns: Sequence[str], progress: Progress) -> None:
        """Make an empty staging table for a delivery, with the `progress` of nothing loaded. `columns` without our own
        two. Commits by itself."""

    def unstage(self, name: str) -> None:
        """Throw away what was loaded for a delivery, if anything was. Commits by itself."""

    def loading(self) -> list[str]:
        """The deliveries of which something is being loaded beside this table or others of its schema."""

    def progress(self, name: str) -> Progress | None:
        """How far the loading of a delivery has come, None if nothing is being loaded."""

    def advance(self, name: str, progress: Progress) -> None:
        """Write how far it has come."""

    def take_over(self, staging: str, columns: Sequence[str], rows: int) -> None:
        """Replace all rows of the table by the `rows` of a staging table. `columns` without our own two."""

    def move(self, name: str, position: Position) -> None:
        """Write the position."""

    def present(self, names: Sequence[str]) -> set[str]:
        """Which rows of these names the table holds."""

    def log(self, operation: Operation, at: Moment, names: Sequence[str]) -> None:
        """Write the rows of these names, as they are in the table, into the table of changes."""

    def begin_log(self, at: Moment) -> None:
        """Empty the table of changes; the table itself is what the next ones are to be applied to."""

    def clear_log(self) -> None:
        """Empty the table of changes, if there is one."""

    def logged_from(self) -> int | None:
        """The first version that the table of changes tells of, whatever was deleted from it; None if it is empty or
        has a row of which that is not known."""

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
