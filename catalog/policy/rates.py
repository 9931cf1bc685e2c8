"""How often somebody may ask: a bucket for each caller that empties with every question and fills again with time.

In memory, of one process: whoever starts the service again starts with full buckets.
"""

import math
import threading
import time
from collections.abc import Callable

ROUNDING = 1e-6
"""What sums of seconds may miss: whoever waits as told is let in."""
MOST_CALLERS = 10_000
"""Buckets kept; full ones are forgotten first, for they say nothing."""


class Rates:
    """The buckets of one service. Safe to use from many threads. `clock`: seconds that never go back."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: dict[str, tuple[float, float]] = {}

    def wait(self, caller: str, per_minute: int) -> int:
        """Whole seconds until `caller` may ask, 0 if now; then the question counts. A bucket holds a minute's worth."""
        with self._lock:
            at = self._clock()
            left, since = self._buckets.get(caller, (float(per_minute), at))
            left = min(per_minute, left + (at - since) * per_minute / 60)
            if left < 1 - ROUNDING:
                self._buckets[caller] = left, at
                return math.ceil((1 - left) * 60 / per_minute)
            self._buckets[caller] = max(left - 1, 0.0), at
            if len(self._buckets) > MOST_CALLERS:
                self._forget(at)
            return 0

    def _forget(self, at: float) -> None:
        """Drop the buckets that nobody took from for a minute: they are full again."""
        self._buckets = {name: kept for name, kept in self._buckets.items() if at - kept[1] < 60}
