"""Freshness: by when the next data of an update cycle are due, and how late they are. Judges dates, closes nothing.

A late source does not close the gate of what is built from it: the release that would stay is older still. It is an
issue of the source's owner, and pages show it.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from pipelines.contracts.load import Contracts
from pipelines.issues import Finding, Issues
from pipelines.register import Register
from pipelines.register.receipts import Receipts, Stage
from pipelines.register.times import as_utc_or_none

GRACE = {
    "实时": timedelta(days=1),
    "每日": timedelta(days=2),
    "每周": timedelta(days=9),
    "每月": timedelta(days=40),
    "每季度": timedelta(days=110),
    "每半年": timedelta(days=210),
    "每年": timedelta(days=400),
}
"""How long after the last data new ones are due: the cycle and some grace. 不定期 is never due."""


@dataclass(frozen=True)
class Timeliness:
    """How fresh a dataset is. `last`: the delivery that its next data are counted from, None if there was none; `due`:
    when they are due, None for never."""

    last: datetime | None
    due: datetime | None

    def days_late(self, now: datetime) -> int:
        """Full or begun days since the data were due; 0 when they are not."""
        return _days_since(self.due, now)


def due(cycle: str, last: datetime) -> datetime | None:
    """When data of this cycle are due that came last at `last`; None for 不定期."""
    return last + GRACE[cycle] if cycle in GRACE else None


def days_late(cycle: str, last: datetime, now: datetime) -> int:
    """Full or begun days since the data were due; 0 when they are not."""
    return _days_since(due(cycle, last), now)


def last_delivery(receipts: Receipts, source: str) -> datetime | None:
    """When a source last delivered, or was asked and had nothing new, in UTC; None if it never did."""
    found = (receipts.last_delivered(source), receipts.last(Stage.SEEN, source))
    last = max((receipt.at for receipt in found if receipt), default=None)
    return as_utc_or_none(last)


def of_dataset(
    contracts: Contracts, cycle: str, sources: Iterable[str], delivered: Callable[[str], datetime | None]
) -> Timeliness:
    """How fresh a dataset of this update cycle is, by what its sources delivered and not by when it was released.

    An unchanged dataset is not released again, and a changed contract releases old data again: neither says anything.
    The source that is due first counts. Each is due by the slower of the two cycles, for a yearly list that a daily
    dataset refers to is asked for once a year. `delivered` is `last_delivery`; sources without a contract or without
    a delivery say nothing.
    """
    found = []
    for source in sources:
        contract = contracts.sources.get(source)
        if contract is not None and (last := delivered(source)) is not None:
            found.append(Timeliness(last, _due_in_both(cycle, contract.form.slaProperties.frequency, last)))
    return min(found, key=lambda one: (one.due is None, one.due or one.last, one.last), default=Timeliness(None, None))


@dataclass(frozen=True)
class Freshness:
    """When a source last delivered, None if never, and how many days late its next data are."""

    source: str
    cycle: str
    last: datetime | None
    days_late: int


def watch(contracts: Contracts, register: Register, now: datetime) -> list[Freshness]:
    """Look at every source; a late one is an issue of its owner, a fresh one closes it."""
    receipts, issues = Receipts(register, "freshness"), Issues(register)
    found = []
    for source in contracts.sources.values():
        cycle, last = source.form.slaProperties.frequency, last_delivery(receipts, source.id)
        seen = Freshness(source.id, cycle, last, days_late(cycle, last, now) if last else 0)
        arguments = {
            "subject": source.id,
            "cycle": cycle,
            "days": seen.days_late,
            "last": f"{last:%Y-%m-%d}" if last else "",
        }
        findings = [Finding("freshness.late", arguments, "warning")] if seen.days_late else []
        issues.report(source.id, source.org, "freshness", findings)
        found.append(seen)
    return found


def _due_in_both(one: str, other: str, last: datetime) -> datetime | None:
    wanted = due(one, last), due(other, last)
    return None if None in wanted else max(moment for moment in wanted if moment)


def _days_since(moment: datetime | None, now: datetime) -> int:
    return max(0, math.ceil((now - moment) / timedelta(days=1))) if moment else 0
