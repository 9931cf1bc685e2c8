"""The analysts' database as one file to download: which file it is now, its checksum, what policy asks about it.

`pipelines.release.marts` makes the files; nothing here opens one as a database. The file holds every row and column of
the analyst channel with the products' own pseudonyms, so no grant of a single product opens it: it is a deliverable of
its own, and it is given whole or not at all.
"""

from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from catalog.policy.decision import MARTS, Offer
from pipelines.lake.parquet import sha256


@dataclass(frozen=True)
class MartsFile:
    """One edition's file: where it lies, bytes, SHA-256 in hexadecimal. Its name is derived from what is in it."""

    path: Path
    size: int
    sha256: str


class Marts:
    """The file that the link points to. Checksums of a file are worked out once."""

    def __init__(self, link: Path) -> None:
        self._link = link
        self._lock = Lock()
        self._known: MartsFile | None = None
        self._mark: tuple[Path, int, int] | None = None

    def offer(self) -> Offer:
        """What policy needs to know. There is one column that no grant can name, so a limited grant opens nothing."""
        return Offer(
            product=MARTS,
            channel="analyst",
            share_type="",
            columns=("*",),
            rows=None,
            pseudonyms=frozenset(),
            version=0 if self._link.is_file() else None,  # which file it was stands in the audit
        )

    def file(self) -> MartsFile | None:
        """The newest edition's file, None when there is none. Raises OSError."""
        if not self._link.is_file():
            return None
        path = self._link.resolve()
        about = path.stat()
        mark = (path, about.st_size, about.st_mtime_ns)
        with self._lock:
            if mark != self._mark:
                self._known, self._mark = MartsFile(path, about.st_size, sha256(path)), mark
            return self._known
