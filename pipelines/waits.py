"""What an event loop runs itself: only code that waits for nothing, tried and given up where it would have to.

Handing work to a thread and back costs more than a short answer does. So the loop tries to make an answer of what is in
memory; the first place that would wait for a database, a disk's work, a lock or a secret's hash gives up, and a thread
begins again. Belongs here: that a place waits. Does not belong here: what anybody tries.

Whatever runs here may be run twice: what counts something must give up before it counts. A number that a thread would
ask for is assumed to be the one known from before; whoever gives the answer has to prove that it was.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


class WouldWait(Exception):
    """What was tried waits for something: a thread must do it."""


@dataclass
class Tried:
    """What is tried. `assumed`: the number that was not asked for, None if it needed none."""

    assumed: int | None = None


class _Trying(threading.local):
    """What this thread is trying just now."""

    now: Tried | None = None


_trying = _Trying()


@contextmanager
def without_waiting() -> Iterator[Tried]:
    """Try what stands in the block. WouldWait is raised where it would wait."""
    _trying.now = tried = Tried()
    try:
        yield tried
    finally:
        _trying.now = None


def waits() -> None:
    """Said by a place that waits, before it does. Raises WouldWait where nobody may."""
    if _trying.now is not None:
        raise WouldWait


def assumed(known: int | None) -> int | None:
    """Said by a place that asks for the number, with the one it `known` from before: what it takes where nobody may
    wait. None elsewhere: it has to ask. Raises WouldWait where nobody may, and none is known or another was assumed."""
    tried = _trying.now
    if tried is None:
        return None
    if known is None or tried.assumed not in (None, known):
        raise WouldWait
    tried.assumed = known
    return known


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
