"""Whether what was released is still what the ledger says: every version of every subject, by its fingerprint.

A version that an order to erase a person changed is neither unchanged nor corrupt: the receipt says what it was before
and what it is since. Nor is one that was ended, or a history that was shortened, because a contract's period was over.

Belongs here: the comparison. Does not belong here: the chain itself (register/chain).
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
from pipelines.release.ledger import ERASURE, Ledger, Recorded

State = Literal["unchanged", "erased", "shortened", "ended", "corrupt"]


@dataclass(frozen=True)
class Verified:
    """What one release is like now. `orders`: the subjects of the receipts by which rows went from it, or by which it
    ended as a whole, in order; `what`: the file that is missing or differs, empty if none was looked at."""

    subject: str
    version: int
    state: State
    orders: tuple[str, ...] = ()
    what: str = ""


def releases(lake: Lake, ledger: Ledger) -> Iterator[Verified]:
    """Every release in the ledger, oldest first."""
    rewritings, ended = ledger.rewritings(), ledger.ended_versions()
    for entry in ledger.releases():
        if entry.version is None:
            continue
        if word := ended.get(entry.subject, {}).get(entry.version):
            yield Verified(entry.subject, entry.version, "ended", (word.subject,))
        else:
            yield verified(lake, entry, entry.version, rewritings)


def verified(lake: Lake, entry: Recorded, version: int, rewritings: list[Recorded]) -> Verified:
    """What one release is like now that was not ended. `rewritings`: all there were, in order."""
    location = lake.subject(entry.subject)
    try:
        mark = fingerprint(location, version)
        torn = delta.torn_files(location, delta.table_files(delta.open_table(location, version)))
    except LakeError:
        return Verified(entry.subject, version, "corrupt", what=str(location))
    expected, orders, states = str(entry.body["fingerprint"]), list[str](), set[str]()
    for one in rewritings:
        before, after = one.body["releases"].get(entry.subject, {}).get(str(version), (None, None))
        if before == expected and after != before:
            expected, orders = after, [*orders, one.subject]
            states.add(one.kind)
    if torn or mark != expected:
        return Verified(entry.subject, version, "corrupt", tuple(orders), str(torn[0] if torn else location))
    if wrong := next(_downloads(lake, entry, version, rewritings), None):
        return Verified(entry.subject, version, "corrupt", tuple(orders), str(wrong))
    state: State = "erased" if ERASURE in states else "shortened" if orders else "unchanged"
    return Verified(entry.subject, version, state, tuple(orders))


def _downloads(lake: Lake, entry: Recorded, version: int, rewritings: list[Recorded]) -> Iterator[Path]:
    """The downloads of a release that are gone or are not what the ledger says."""
    for file in entry.body.get("files", ()):
        path = lake.root / "released" / "files" / entry.subject / f"v{version}" / file["name"]
        expected, name = file["sha256"], str(path.relative_to(lake.root.parent))
        for one in rewritings:
            before, after = one.body["files"].get(name, (None, None))
            expected = after if before == expected else expected
        if not path.is_file() or sha256(path) != expected:
            yield path
