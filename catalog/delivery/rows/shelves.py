"""What was prepared for a decision and is still there: extract, ordered rows and index, found again without opening.

Only a memory. Who may read is decided before anybody asks here, and what was deleted meanwhile (views go after an order
to erase) is not given out: every time the file itself is looked at.
"""

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

from catalog.delivery.extracts import Extract
from catalog.delivery.rows import keys
from catalog.delivery.rows.columns import Column, column_of
from catalog.delivery.rows.keys import Keys, mark
from catalog.delivery.rows.ordered import Ordered, ordered
from catalog.delivery.views import Views
from catalog.policy.decision import Allowed
from pipelines.waits import waits

MOST = 256
"""Decisions and indexes remembered."""
NOTE_SECONDS = 60.0
"""How often it is noted that a version is read. Versions are dropped that nobody read for a day."""


@dataclass(frozen=True)
class Shelf:
    """One decision's extract with its columns and ordered rows. `folder`: where the views of its version lie."""

    folder: Path
    extract: Extract
    columns: tuple[Column, ...]
    rows: Ordered
    mark: tuple[int, int] | None


class Shelves:
    """The shelves of one service. Safe to use from many threads."""

    def __init__(self, views: Views) -> None:
        self._views = views
        self._lock = threading.Lock()
        self._shelves: OrderedDict[Allowed, Shelf] = OrderedDict()
        self._keys: OrderedDict[tuple[Path, tuple[str, ...]], Keys] = OrderedDict()
        self._noted: dict[Path, float] = {}

    def get(self, allowed: Allowed) -> Shelf:
        """What a decision lets through, prepared if nobody asked before. Raises LakeError."""
        with self._lock:
            found = self._shelves.get(allowed)
        if found is not None and found.mark is not None and mark(found.rows.path) == found.mark:
            self._note_use(found.folder)
            return found
        waits()
        extract = self._views.extract(allowed)
        rows = ordered(self._views, allowed, extract)
        folder = self._views.folder(allowed.product, allowed.version)
        columns = tuple(column_of(item) for item in extract.fields)
        made = Shelf(folder, extract, columns, rows, mark(rows.path))
        with self._lock:
            self._shelves[allowed] = made
            while len(self._shelves) > MOST:
                self._shelves.popitem(last=False)
        return made

    def _note_use(self, folder: Path) -> None:
        """Note that a version is read, once in a while: a disk that is busy makes whoever writes to it wait."""
        at = time.monotonic()
        if at - self._noted.get(folder, float("-inf")) < NOTE_SECONDS:
            return
        waits()
        self._views.note_use(folder)
        if len(self._noted) >= MOST:
            self._noted.clear()
        self._noted[folder] = at

    def keys(self, allowed: Allowed, shelf: Shelf, key: tuple[str, ...]) -> Keys:
        """The index of a shelf by the contract's key, built if nobody asked before. Raises LakeError."""
        with self._lock:
            found = self._keys.get((shelf.rows.path, key))
        if found is not None and found.is_there():
            return found
        waits()
        made = keys.opened(keys.index(self._views, allowed, shelf.extract, shelf.rows, key))
        with self._lock:
            self._keys[shelf.rows.path, key] = made
            while len(self._keys) > MOST:
                self._keys.popitem(last=False)  # closed when the last reader lets go of it
        return made
