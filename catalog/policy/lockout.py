"""Wrong credentials: counted by the network they come from and by the id they name; too many are refused.

In memory, of one process, with the buckets of `rates`. Only what turned out wrong is refused, so nobody is kept out by
what others showed; from a network that showed too many, credentials are looked at one at a time, for that is dear.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from catalog.policy.rates import MOST_CALLERS, Rates


@dataclass(frozen=True)
class Origin:
    """Where a credential comes from: a name of its network that may be kept, and how many wrong ones a minute a network
    may show, and an id be named by."""

    network: str
    per_minute: int


@dataclass(frozen=True)
class Locked:
    """A wrong credential too many. `wait`: seconds until one counts again; `network` and `named`: whether the network's
    or the id's lock began with it."""

    wait: int
    network: bool = False
    named: bool = False


class Lockout:
    """The counts of one service. Safe to use from many threads. `clock`: seconds that never go back."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._rates = Rates(clock)
        self._guard = threading.Lock()
        self._looking: set[str] = set()
        self._told: dict[str, None] = {}

    def failed(self, origin: Origin, named: str | None) -> Locked | None:
        """Count a wrong credential, `named` being the known id that it names; what to answer if it is one too many."""
        network = self._take(f"network {origin.network}", origin.per_minute)
        token = (0, False) if named is None else self._take(f"token {named}", origin.per_minute)
        wait = max(network[0], token[0])
        return Locked(wait, network[1], token[1]) if wait else None

    def look(self, origin: Origin, fits: Callable[[], bool]) -> bool | None:
        """Whether a credential is right. None: it was not looked at, for its network showed too many wrong ones and
        another one of that network is being looked at."""
        if not self._rates.empty(f"network {origin.network}", origin.per_minute):
            return fits()
        with self._guard:
            if origin.network in self._looking:
                return None
            self._looking.add(origin.network)
        try:
            return fits()
        finally:
            self._looking.discard(origin.network)

    def untold(self, origin: Origin, named: str | None) -> None:
        """The audit could not be told of a lock that began: the next wrong credential tells it."""
        with self._guard:
            for name in (f"network {origin.network}", f"token {named}"):
                self._told.pop(name, None)

    def _take(self, name: str, per_minute: int) -> tuple[int, bool]:
        """Seconds to wait, and whether a lock began: it is one until the bucket was full again."""
        with self._guard:
            taken = self._rates.take(name, per_minute)
            if not taken.wait:
                if taken.left + 1 >= per_minute:
                    self._told.pop(name, None)
                return 0, False
            began = name not in self._told
            self._told[name] = None
            if len(self._told) > MOST_CALLERS:
                del self._told[next(iter(self._told))]
            return taken.wait, began
