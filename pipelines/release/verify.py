"""Whether what was released is still what the ledger says: every version of every subject, by its fingerprint.

A version that an order to erase a person changed is neither unchanged nor corrupt: the receipt says what it was before
and what it is since. Belongs here: the comparison. Does not belong here: the chain itself (register/chain).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pipelines.lake import delta
from pipelines.lake.candidate import fingerprint
from pipelines.lake.errors import LakeError
from pipelines.lake.parquet import sha256
from pipelines.lake.zones import Lake
from pipelines.release.ledger import Ledger, Recorded

State = Literal["unchanged", "erased", "corrupt"]


@dataclass(frozen=True)
class Verified:
    """What one release is like now. `orders`: the orders by which persons were erased from it, in order; `what`: the
    file that is missing or differs, empty if none was looked at."""

    subject: str
    version: int
    state: State
    orders: tuple[str, ...] = ()
    what: str = ""


def releases(lake: Lake, ledger: Ledger) -> Iterator[Verified]:
    """Every release in the ledger, oldest first."""
    erasures = ledger.erasures()
    for entry in ledger.releases():
        if entry.version is not None:
            yield _verified(lake, entry, entry.version, erasures)


def _verified(lake: Lake, entry: Recorded, version: int, erasures: list[Recorded]) -> Verified:
    location = lake.subject(entry.subject)
    try:
        mark = fingerprint(location, version)
        torn = delta.torn_files(location, delta.table_files(delta.open_table(location, version)))
    except LakeError:
        return Verified(entry.subject, version, "corrupt", what=str(location))
    expected, orders = str(entry.body["fingerprint"]), list[str]()
    for erasure in erasures:
        before, after = erasure.body["releases"].get(entry.subject, {}).get(str(version), (None, None))
        if before == expected and after != before:
            expected, orders = after, [*orders, erasure.subject]
    if torn or mark != expected:
        return Verified(entry.subject, version, "corrupt", tuple(orders), str(torn[0] if torn else location))
    if wrong := next(_downloads(lake, entry, version, erasures), None):
        return Verified(entry.subject, version, "corrupt", tuple(orders), str(wrong))
    return Verified(entry.subject, version, "erased" if orders else "unchanged", tuple(orders))


def _downloads(lake: Lake, entry: Recorded, version: int, erasures: list[Recorded]) -> Iterator[Path]:
    """The downloads of a release that are gone or are not what the ledger says."""
    for file in entry.body.get("files", ()):
        path = lake.root / "released" / "files" / entry.subject / f"v{version}" / file["name"]
        expected, name = file["sha256"], str(path.relative_to(lake.root.parent))
        for erasure in erasures:
            before, after = erasure.body["files"].get(name, (None, None))
            expected = after if before == expected else expected
        if not path.is_file() or sha256(path) != expected:
            yield path
