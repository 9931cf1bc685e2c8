"""How often somebody may ask: a bucket for each caller that empties with every question and fills again with time.

In memory, of one process: whoever starts the service again starts with full buckets.
"""

import math
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

ROUNDING = 1e-6
"""What sums of seconds may miss: whoever waits as told is let in."""
MOST_CALLERS = 10_000
"""Buckets kept; full ones are forgotten first, for they say nothing."""


class Taken(NamedTuple):
    """One look into a bucket, whole numbers: seconds to wait, 0 if the question was let in; questions left; seconds
    until the bucket is full again."""

    wait: int
    left: int
    full: int


class Rates:
    """The buckets of one service. Safe to use from many threads. `clock`: seconds that never go back."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: dict[str, tuple[float, float]] = {}

    def wait(self, caller: str, per_minute: int) -> int:
        """Whole seconds until `caller` may ask, 0 if now; then the question counts. A bucket holds a minute's worth."""
        return self.take(caller, per_minute).wait

    def take(self, caller: str, per_minute: int) -> Taken:
        """The same, with what is left in the bucket."""
        with self._lock:
            at = self._clock()
            left = self._left(caller, per_minute, at)
            let_in = left >= 1 - ROUNDING
            wait = 0 if let_in else math.ceil((1 - left) * 60 / per_minute)
            left = max(left - 1, 0.0) if let_in else left
            self._buckets[caller] = left, at
            if len(self._buckets) > MOST_CALLERS:
                self._forget(at)
            return Taken(wait, int(left + ROUNDING), math.ceil((per_minute - left) * 60 / per_minute))

    def empty(self, caller: str, per_minute: int) -> bool:
        """Whether the next question would not be let in. Takes nothing."""
        with self._lock:
            return self._left(caller, per_minute, self._clock()) < 1 - ROUNDING

    def _left(self, caller: str, per_minute: int, at: float) -> float:
        left, since = self._buckets.get(caller, (float(per_minute), at))
        return min(per_minute, left + (at - since) * per_minute / 60)

    def _forget(self, at: float) -> None:
        """Drop the buckets that nobody took from for a minute: they are full again."""
        self._buckets = {name: kept for name, kept in self._buckets.items() if at - kept[1] < 60}
