"""How much expensive work goes on at once in one service: views, change sets, files and large answers being made.

Whoever finds all places taken waits shortly and is then told to ask again; only so many may wait, so that waiting never
takes the threads that cheap reads are answered in. Knows no caller and no road.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from pipelines.contracts.forms.limits import WorkForm

CHEAP_ROWS: Final = 50_000
"""What goes through no more rows takes a moment and needs no place."""
BOOK_COST: Final = 10
"""A row of an XLSX book takes as long as so many rows of other formats."""
AGAIN_SECONDS: Final = 10
"""When to ask again, as whoever is sent away is told: what was being made is there by then more often than not."""


class Busy(Exception):
    """All places are taken, or what was asked for is still being made. `wait`: seconds after which to ask again."""

    def __init__(self) -> None:
        self.wait = AGAIN_SECONDS
        super().__init__("busy")


class Work:
    """The places of one process. Safe to use from many threads. Without limits nobody is ever sent away: for commands,
    which work for one person."""

    def __init__(self, limits: WorkForm | None = None) -> None:
        self._limits = limits
        if limits is not None:
            self._places = threading.BoundedSemaphore(limits.places)
            self._waiting = threading.BoundedSemaphore(limits.waiting)

    @contextmanager
    def place(self, rows: int | None) -> Iterator[None]:
        """Take a place for as long as work on so many rows lasts, none for little; None if to know it is the work.
        Places do not nest. Raises Busy."""
        if self._limits is None or (rows is not None and rows <= CHEAP_ROWS):
            yield
            return
        with self.turn(self._places):
            yield

    @contextmanager
    def turn(self, lock: threading.Semaphore) -> Iterator[None]:
        """Hold a lock that others may hold for long. Raises Busy."""
        if not lock.acquire(blocking=False):
            self._wait_for(lock)
        try:
            yield
        finally:
            lock.release()

    def _wait_for(self, lock: threading.Semaphore) -> None:
        if self._limits is None:
            lock.acquire()
            return
        if not self._waiting.acquire(blocking=False):
            raise Busy
        try:
            if not lock.acquire(timeout=self._limits.seconds):
                raise Busy
        finally:
            self._waiting.release()
