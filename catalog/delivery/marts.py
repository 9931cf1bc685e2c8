"""The analysts' database as one file to download: which file it is now, its checksum, what policy asks about it.

`pipelines.release.marts` makes the files; nothing here opens one as a database. The file holds every row and column of
the analyst channel with the products' own pseudonyms, so no grant of a single product opens it: it is a deliverable of
its own, and it is given whole or not at all.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock

from catalog.listing import Snapshot
from catalog.policy.decision import MARTS, Offer
from pipelines.lake.parquet import sha256
from pipelines.lake.zones import Lake
from pipelines.release.marts import Shown, opening, shown


class Outdated(Exception):
    """The file holds other releases, columns or rows than may be shown now: it must not be given until it is made
    anew."""


@dataclass(frozen=True)
class MartsFile:
    """One edition's file: where it lies, bytes, SHA-256 in hexadecimal, rows of all products, and which release of each
    is in it. Its name is derived from what is in it."""

    path: Path
    size: int
    sha256: str
    rows: int
    releases: tuple[tuple[str, int | None], ...]


class Marts:
    """The file that the link points to. Checksums of a file are worked out once."""

    def __init__(self, link: Path, lake: Lake) -> None:
        self._link = link
        self._lake = lake
        self._lock = Lock()
        self._known: MartsFile | None = None
        self._mark: tuple[Path, int, int] | None = None

    def offer(self, snapshot: Snapshot) -> Offer:
        """What policy needs to know. There is one column that no grant can name, so a limited grant opens nothing."""
        products = shown(snapshot.contracts, snapshot.published)
        there = self._link.is_file() and bool(products)
        asks = any(_asks(snapshot, one) for one in products)
        return Offer(
            product=MARTS,
            channel="analyst",
            share_type="",
            columns=("*",),
            rows=None,
            pseudonyms=frozenset(),
            version=0 if there else None,  # which file it was stands in the audit
            approval=frozenset("*") if asks else frozenset(),
            purposes=snapshot.contracts.purposes,
        )

    def file(self, snapshot: Callable[[], Snapshot]) -> MartsFile:
        """The file, if it holds just what contracts and ledger show when its checksum is known, by its name.

        Raises Outdated, also when it is replaced meanwhile; OSError.
        """
        path = self._link.resolve()
        self._products(path, snapshot())
        try:
            about = path.stat()
            mark = (path, about.st_size, about.st_mtime_ns)
            with self._lock:
                if self._known is None or mark != self._mark:
                    self._known, self._mark = MartsFile(path, about.st_size, sha256(path), 0, ()), mark
                known = self._known
        except FileNotFoundError as error:
            raise Outdated from error
        products = self._products(path, snapshot())  # a checksum takes its time
        if self._link.resolve() != path:
            raise Outdated
        releases = tuple((one.product.id, one.release.version) for one in products)
        return replace(known, rows=sum(one.release.body["rows"] for one in products), releases=releases)

    def _products(self, path: Path, snapshot: Snapshot) -> list[Shown]:
        """What the file at this path holds. Raises Outdated if that is not what may be shown now."""
        products = shown(snapshot.contracts, snapshot.published)
        if not path.name.startswith(opening(self._lake, products)):
            raise Outdated
        return products


def _asks(snapshot: Snapshot, one: Shown) -> bool:
    """Whether a column of it asks for a second person's approval, by city or release."""
    offering = snapshot.find(one.product.id)
    return offering is not None and not offering.approval.isdisjoint(column.name for column in one.columns)
