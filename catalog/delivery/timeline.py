"""The versions of one product in time: which was the published one at a moment, which can be read, which follow on
each other.

Reads the ledger; decides nothing about callers and opens no data.
"""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from catalog.listing import Listing
from pipelines.register.times import as_utc
from pipelines.release.ledger import RELEASE, Recorded

MOST_DECISIONS = 100_000
"""About one product: more than any has in a contract's longest period."""


class NoWay(Exception):
    """No changes lead on from a version: it cannot be read any more, or was changed after it was read."""

    def __init__(self, version: int) -> None:
        self.version = version
        super().__init__(version)


@dataclass(frozen=True)
class Timeline:
    """All releases of a product, oldest first, taken back or not. `readable`: the versions that callers may read;
    `ended`: those whose period is over; `rewritten`: those that an erasure or an ended period changed afterwards."""

    releases: tuple[Recorded, ...]
    readable: Collection[int]
    ended: Collection[int]
    rewritten: Collection[int]

    def find(self, version: int) -> Recorded | None:
        """The release of a version that can be read, None for any other."""
        found = (one for one in self.releases if one.version == version and version in self.readable)
        return next(found, None)

    def as_of(self, moment: datetime) -> Recorded | None:
        """The newest release at or before a moment, None if there was none."""
        earlier = [one for one in self.releases if as_utc(one.at) <= moment]
        return earlier[-1] if earlier else None

    def since(self, moment: datetime) -> Recorded | None:
        """The first release at or after a moment, None if there is none yet."""
        return next((one for one in self.releases if as_utc(one.at) >= moment), None)

    def way(self, start: int, end: int) -> tuple[Recorded | None, tuple[Recorded, ...]]:
        """What whoever follows from before version `start` goes through up to version `end`: the release that they
        have, None if there was none, and those that can be read after it.

        Raises NoWay when the release they have cannot be read any more, or was changed since: they may hold rows that
        no difference takes away again.
        """
        earlier = [one for one in self.releases if one.version is not None and one.version < start]
        base = earlier[-1] if earlier else None
        if base is not None and (base.version not in self.readable or base.version in self.rewritten):
            raise NoWay(base.version or 0)
        within = (one for one in self.releases if one.version is not None and start <= one.version <= end)
        return base, tuple(one for one in within if one.version in self.readable)


def timeline(listing: Listing, product: str) -> Timeline:
    """The versions of a product as the ledger has them now."""
    ledger = listing.ledger
    decisions = reversed(ledger.history(product, MOST_DECISIONS))
    changed = {int(version) for row in ledger.rewritings() for version in row.body["releases"].get(product, ())}
    return Timeline(
        releases=tuple(row for row in decisions if row.kind == RELEASE),
        readable=listing.readable_versions(product).keys(),
        ended=listing.ended_versions(product),
        rewritten=changed,
    )
