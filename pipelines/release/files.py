"""What the ledger says of released files: both checksums at their release, and what orders and ended periods have made
of them since.

Belongs here: the data files of a released version for its receipt, and following a file through later receipts. Does
not belong here: reading a file (lake/checksums), the judgement on a whole version (verify).
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pipelines.lake import delta
from pipelines.lake.checksums import Checksums, checksums, named
from pipelines.lake.zones import Lake
from pipelines.release.ledger import Recorded


def data_files(
    lake: Lake, location: Path, version: int, before: Recorded | None, rewritings: Sequence[Recorded]
) -> list[dict[str, Any]]:
    """`{path, size, sha256, sm3}` of every data file of a version, by path below the lake.

    A file that the subject's newest release (`before`) has too is not read again: it is to be what it was when it was
    first released, whatever lies there now. `rewritings`: every receipt of an order or an ended period, in order.
    """
    known: dict[str, Checksums | None] = {}
    if before is not None:
        said = before.body["data"]
        known = {one["path"]: followed(lake, one["path"], named(one), before, rewritings) for one in said}
    found = []
    for file in delta.table_files(delta.open_table(location, version)):
        path = location / file.path
        name = below(lake, path)
        found.append({"path": name, "size": file.size, **(known.get(name) or checksums(path))})
    return sorted(found, key=lambda one: str(one["path"]))


def followed(
    lake: Lake, name: str, said: Checksums, release: Recorded, rewritings: Iterable[Recorded]
) -> Checksums | None:
    """The checksums that a file below the lake should have now, None if it was ended; at its release it had `said`."""
    expected: Checksums | None = said
    for one in rewritings:
        old, new = one.body["files"].get(f"{lake.root.name}/{name}", (None, None))
        if one.sequence > release.sequence and old == expected:
            expected = new
    return expected


def below(lake: Lake, path: Path) -> str:
    """A file as receipts name it."""
    return path.relative_to(lake.root).as_posix()
