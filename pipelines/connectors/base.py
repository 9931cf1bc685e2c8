"""What a connector is: a verb that writes one pull as Parquet. Registered here, found by name in contracts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.messages import CitylakeError
from pipelines.verbs import Registry


@dataclass(frozen=True)
class Request:
    """One pull. `target`: the Parquet file to write, all columns VARCHAR or the source's own type.

    `root`: the folder of contracts. `secret`: gives a connection string by connection name. `expected`: the physical
    columns that the contract uses; `ignored`: those it lists as ignored. `owner`: whom to ask. `scratch`: spill room.
    """

    target: Path
    root: Path
    secret: Callable[[str], str]
    owner: str
    expected: tuple[str, ...]
    ignored: tuple[str, ...]
    scratch: Path


@dataclass(frozen=True)
class Pulled:
    """What a pull brought: rows written, the columns found at the source, and how the source names itself."""

    rows: int
    columns: tuple[str, ...]
    origin: str


def require_columns(request: Request, columns: Sequence[str], origin: str) -> None:
    """Raise CitylakeError naming missing and new columns unless all expected ones are there."""
    missing = [name for name in request.expected if name not in columns]
    if missing:
        extra = [name for name in columns if name not in request.expected and name not in request.ignored]
        raise CitylakeError("pull.columns_missing", table=origin, missing=_listed(missing), extra=_listed(extra))


def _listed(names: Sequence[str]) -> str:
    return "、".join(f"“{name}”" for name in names) or "—"


connectors: Registry[Callable[..., Pulled], None] = Registry("connector")
