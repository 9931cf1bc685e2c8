"""Folders that appear whole or not at all, and are built once however many ask at the same time.

Whoever asks for what another is building waits for it as long as `work` lets them. Also where DuckDB spills while it
builds: not the lake's scratch, which every run of the pipelines empties.
"""

import shutil
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from catalog.delivery.work import Work
from pipelines import engine

PARTIAL = ".building"


@dataclass
class _Lock:
    """Held by who builds; `wanted`: by how many it is held or waited for."""

    lock: threading.Semaphore = field(default_factory=threading.BoundedSemaphore)
    wanted: int = 0


class Folders:
    """Private folders below `root`; other processes may build below the same root."""

    def __init__(self, root: Path, work: Work) -> None:
        self.root = root
        self.work = work
        self._locks: dict[Path, _Lock] = {}
        self._guard = threading.Lock()

    def get(self, target: Path, build: Callable[[Path], None], rows: int) -> Path:
        """`target`, built by `build(temporary folder)` if it is not there; `rows` is what the building goes through.

        What `build` raises passes through. Raises Busy.
        """
        if not target.is_dir():
            with self.alone(target):
                if not target.is_dir():
                    with self.work.place(rows):
                        self._build(target, build)
        return target

    def discard(self, target: Path, unused: float = 0) -> None:
        """Delete a folder that nobody has used for `unused` seconds, all of it at one moment: a reader finds the whole
        of it or nothing. One that somebody begins to use meanwhile stays."""
        if not _unused(target, unused):
            return
        aside = self.root / PARTIAL / uuid.uuid4().hex
        private(self.root, aside.parent)
        try:
            target.rename(aside)
            if not _unused(aside, unused):
                aside.rename(target)
        except OSError:
            pass  # another process was faster, or has built it anew
        shutil.rmtree(aside, ignore_errors=True)

    @contextmanager
    def connection(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """A DuckDB connection with a spill folder of its own: two instances in one folder overwrite each other."""
        spill = self.root / PARTIAL / uuid.uuid4().hex
        private(self.root, spill)
        try:
            with engine.connect(spill) as con:
                yield con
        finally:
            shutil.rmtree(spill, ignore_errors=True)

    def _build(self, target: Path, build: Callable[[Path], None]) -> None:
        partial = self.root / PARTIAL / uuid.uuid4().hex
        private(self.root, partial)
        try:
            build(partial)
            private(self.root, target.parent)
            try:
                partial.rename(target)
            except OSError:
                if not target.is_dir():  # otherwise another process was faster with the same content
                    raise
        finally:
            shutil.rmtree(partial, ignore_errors=True)

    @contextmanager
    def alone(self, path: Path) -> Iterator[None]:
        """Be the only one at work on a folder or file; others wait meanwhile. Raises Busy."""
        with self._guard:  # a lock is forgotten when nobody waits for it any more
            mine = self._locks.setdefault(path, _Lock())
            mine.wanted += 1
        try:
            with self.work.turn(mine.lock):
                yield
        finally:
            with self._guard:
                mine.wanted -= 1
                if not mine.wanted:
                    del self._locks[path]


def private(root: Path, folder: Path) -> None:
    """Make a folder below `root`, and all between, for the owner only."""
    for step in reversed([folder, *(parent for parent in folder.parents if parent.is_relative_to(root))]):
        step.mkdir(mode=0o700, parents=True, exist_ok=True)
        step.chmod(0o700)  # the umask or an earlier run may have left something wider


def _unused(folder: Path, seconds: float) -> bool:
    try:
        return time.time() - folder.stat().st_mtime >= seconds
    except FileNotFoundError:
        return False
