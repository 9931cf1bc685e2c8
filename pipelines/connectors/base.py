"""What a connector is: a verb that writes one pull as Parquet. Registered here, found by name in contracts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipelines.messages import CitylakeError
from pipelines.verbs import Registry

UNREAD = "_unread"
"""The column in which a connector delivers, whole, a row that it could not take apart; NULL for all others."""


@dataclass(frozen=True)
class Cursor:
    """A source is read from where the last pull ended. `column`: physical name; `overlap`: how far to step back, in
    seconds for times, days for dates, units for numbers, so that late rows are not missed.
    """

    column: str
    overlap: int


@dataclass(frozen=True)
class Request:
    """One pull. `target`: the Parquet file to write, all columns VARCHAR or the source's own type.

    `root`: the folder of contracts. `secret`: gives a connection string by connection name. `expected`: the physical
    columns that the contract uses; `ignored`: those it lists as ignored. `owner`: whom to ask. `scratch`: spill room.
    `position`: what the connector returned with the last pull that was kept, empty at first. `cursor`: set when only
    rows from the position on are wanted. `spool`: this source's durable folder for what was received and is not yet
    in raw; the connector makes it if it needs it.
    """

    target: Path
    root: Path
    secret: Callable[[str], str]
    owner: str
    expected: tuple[str, ...]
    ignored: tuple[str, ...]
    scratch: Path
    position: Mapping[str, Any] = field(default_factory=dict)
    cursor: Cursor | None = None
    spool: Path = Path("spool")


@dataclass(frozen=True)
class Pulled:
    """What a pull brought: rows written, the columns found at the source, and how the source names itself.

    `position` (plain JSON, no secret) comes back in the next request once this pull is kept in raw. `more`: another
    delivery waits behind this one.
    """

    rows: int
    columns: tuple[str, ...]
    origin: str
    position: Mapping[str, Any] = field(default_factory=dict)
    more: bool = False


def require_columns(request: Request, columns: Sequence[str], origin: str) -> None:
    """Raise CitylakeError naming missing and new columns unless all expected ones are there."""
    missing = [name for name in request.expected if name not in columns]
    if missing:
        extra = [name for name in columns if name not in request.expected and name not in request.ignored]
        raise CitylakeError("pull.columns_missing", table=origin, missing=_listed(missing), extra=_listed(extra))


def _listed(names: Sequence[str]) -> str:
    return "、".join(f"“{name}”" for name in names) or "—"


@dataclass(frozen=True)
class About:
    """What a connector is. `asks`: an empty answer says that the source has nothing new, so what is there is fresh;
    otherwise only that nothing was sent.
    """

    asks: bool


connectors: Registry[Callable[..., Pulled | None], About] = Registry("connector")
"""A connector returns None when there is nothing that was not pulled before; then `target` is not looked at."""
