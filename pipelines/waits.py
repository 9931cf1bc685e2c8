"""What an event loop runs itself: only code that waits for nothing, tried and given up where it would have to.

Handing work to a thread and back costs more than a short answer does. So the loop tries to make an answer of what is in
memory; the first place that would wait for a database, a disk's work, a lock or a secret's hash gives up, and a thread
begins again. Belongs here: that a place waits. Does not belong here: what anybody tries.

Whatever runs here may be run twice: what counts something must give up before it counts.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class WouldWait(Exception):
    """What was tried waits for something: a thread must do it."""


class _Trying(threading.local):
    """Whether this thread is trying just now."""

    now = False


_trying = _Trying()


@contextmanager
def without_waiting() -> Iterator[None]:
    """Try what stands in the block. WouldWait is raised where it would wait."""
    _trying.now = True
    try:
        yield
    finally:
        _trying.now = False


def waits() -> None:
    """Said by a place that waits, before it does. Raises WouldWait where nobody may."""
    if _trying.now:
        raise WouldWait


@contextmanager
def holding(lock: threading.Lock) -> Iterator[None]:
    """Hold a lock that others may hold for long. Raises WouldWait where nobody may wait for it."""
    if not lock.acquire(blocking=False):
        waits()
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
