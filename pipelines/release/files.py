"""What the ledger says of released files: both checksums at their release, and what orders and ended periods have made
of them since.

Belongs here: the data files of a released version for its receipt, and following a file through later receipts. Does
not belong here: reading a file (lake/checksums), the judgement on a whole version (verify).
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipelines.lake import delta
from pipelines.lake.checksums import Checksums, checksums, named
from pipelines.lake.zones import Lake
from pipelines.release.ledger import Recorded

Changes = Mapping[str, Sequence[tuple[int, Checksums | None, Checksums | None]]]
"""What orders and ended periods did to each file, in order: the row that says it, the checksums before and after."""


def changes_of(rewritings: Iterable[Recorded]) -> Changes:
    """The changes of each file as receipts name it. `rewritings`: every receipt of an order or an ended period, in
    order."""
    found: dict[str, list[tuple[int, Checksums | None, Checksums | None]]] = {}
    for one in rewritings:
        for name, (old, new) in one.body["files"].items():
            found.setdefault(name, []).append((one.sequence, old, new))
    return found


def data_files(
    lake: Lake, location: Path, version: int, before: Recorded | None, changes: Changes
) -> list[dict[str, Any]]:
    """`{path, size, sha256, sm3}` of every data file of a version, by path below the lake.

    A file that the subject's newest release (`before`) has too is not read again: it is to be what it was when it was
    first released, whatever lies there now. A release from before data files were named is followed by one that reads
    them all.
    """
    known: dict[str, Checksums | None] = {}
    if before is not None:
        said = before.body.get("data", ())
        known = {one["path"]: followed(lake, one["path"], named(one), before, changes) for one in said}
    found = []
    for file in delta.table_files(delta.open_table(location, version)):
        path = location / file.path
        name = below(lake, path)
        found.append({"path": name, "size": file.size, **(known.get(name) or checksums(path))})
    return sorted(found, key=lambda one: str(one["path"]))


def followed(lake: Lake, name: str, said: Checksums, release: Recorded, changes: Changes) -> Checksums | None:
    """The checksums that a file below the lake should have now, None if it was ended; at its release it had `said`."""
    expected: Checksums | None = said
    for sequence, old, new in changes.get(f"{lake.root.name}/{name}", ()):
        if sequence > release.sequence and old == expected:
            expected = new
    return expected


def below(lake: Lake, path: Path) -> str:
    """A file as receipts name it."""
    return path.relative_to(lake.root).as_posix()
