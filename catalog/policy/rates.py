"""How often somebody may ask: a bucket for each caller that empties with every question and fills again with time.

In memory, of one process: whoever starts the service again starts with full buckets.
"""

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from pipelines.waits import waits

ROUNDING = 1e-6
"""What sums of seconds may miss: whoever waits as told is let in."""
TOLD_SECONDS = 60
"""How often it is told at most that a caller was refused: whoever floods a service does not fill its audit."""
MOST_CALLERS = 10_000
"""Buckets kept; full ones are forgotten first, for they say nothing."""


class Taken(NamedTuple):
    """One look into a bucket, whole numbers: seconds to wait, 0 if the question was let in; questions left; seconds
    until the bucket is full again."""

    wait: int
    left: int
    full: int


@dataclass
class _Bucket:
    """What is left and when that was (seconds); how many refusals nobody was told of, and when somebody was."""

    left: float
    at: float
    untold: int = 0
    told: float = float("-inf")


class Rates:
    """The buckets of one service. Safe to use from many threads. `clock`: seconds that never go back."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: dict[str, _Bucket] = {}

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
            bucket = self._buckets.setdefault(caller, _Bucket(left, at))
            bucket.left, bucket.at = left, at
            bucket.untold += not let_in
            if len(self._buckets) > MOST_CALLERS:
                self._forget(at)
            return Taken(wait, int(left + ROUNDING), math.ceil((per_minute - left) * 60 / per_minute))

    def untold(self, caller: str) -> int:
        """How many questions of a caller were refused since this was told last, to be told now; 0 if it is not time.

        The first at once, the others together, with the first question of the caller a minute later.
        """
        with self._lock:
            bucket, at = self._buckets.get(caller), self._clock()
            if bucket is None or at - bucket.told < TOLD_SECONDS or not bucket.untold:
                return 0
            waits()  # whoever is told this writes it to the audit
            refused, bucket.untold, bucket.told = bucket.untold, 0, at
            return refused

    def empty(self, caller: str, per_minute: int) -> bool:
        """Whether the next question would not be let in. Takes nothing."""
        with self._lock:
            return self._left(caller, per_minute, self._clock()) < 1 - ROUNDING

    def _left(self, caller: str, per_minute: int, at: float) -> float:
        bucket = self._buckets.get(caller) or _Bucket(float(per_minute), at)
        return min(per_minute, bucket.left + (at - bucket.at) * per_minute / 60)

    def _forget(self, at: float) -> None:
        """Drop the buckets that nobody took from for a minute: they are full again."""
        self._buckets = {name: kept for name, kept in self._buckets.items() if at - kept.at < 60}
