"""Legal holds: a steward's word that nothing of a dataset is ended for now. Rows of the ledger, so is their end.

A hold counts from the day it is given until its last day, if it has one, or until it is lifted. Several may stand on
one dataset; each is lifted by its own number, that of its ledger row.
"""

from dataclasses import dataclass
from datetime import date

from pipelines.contracts.load import Contracts
from pipelines.messages import CitylakeError
from pipelines.release.ledger import HOLD, HOLD_END, Entry, Ledger


@dataclass(frozen=True)
class Hold:
    """A hold in force on a source `<org>/<dataset>`, or on a model with its products. `until`: its last day."""

    number: int
    dataset: str
    who: str
    why: str
    until: date | None


def in_force(ledger: Ledger, today: date) -> list[Hold]:
    """The holds that count today, in order."""
    lifted = {entry.body["hold"] for entry in ledger.of_kind(HOLD_END)}
    found = []
    for entry in ledger.of_kind(HOLD):
        until = date.fromisoformat(entry.body["until"]) if entry.body["until"] else None
        if entry.sequence not in lifted and (until is None or today <= until):
            found.append(Hold(entry.sequence, entry.subject, entry.body["who"], entry.body["why"], until))
    return found


def unfinished(ledger: Ledger, today: date) -> dict[str, list[str]]:
    """The orders to erase that left rows for a hold which is over, by dataset, unless a later order for the same person
    found none held: nobody else remembers that they are to be given again."""
    standing = {hold.dataset for hold in in_force(ledger, today)}
    ends = {entry.body["hold"]: entry.sequence for entry in ledger.of_kind(HOLD_END)}
    found: dict[str, list[str]] = {}
    for order in {entry.body["person"]: entry for entry in ledger.standing_erasures()}.values():
        left = {*order.body["kept"], *(one["source"] for one in order.body["refused"])} - standing
        for hold in ledger.of_kind(HOLD):
            then = hold.sequence < order.sequence < ends.get(hold.sequence, order.sequence + 1)
            if then and hold.subject in left:
                found.setdefault(hold.subject, []).append(order.subject)
    return {dataset: list(dict.fromkeys(orders)) for dataset, orders in found.items()}


def give(
    ledger: Ledger, contracts: Contracts, dataset: str, who: str, why: str, until: date | None, today: date
) -> Hold:
    """Hold a dataset. Raises CitylakeError for one that no contract names and for a last day that is over."""
    if dataset not in contracts.sources and dataset not in contracts.models:
        raise CitylakeError("retention.no_dataset", dataset=dataset)
    if until is not None and until < today:
        raise CitylakeError("retention.past_hold", until=until)
    body = {"who": who, "why": why, "until": until.isoformat() if until else None}
    ledger.record([Entry(HOLD, dataset, f"hold-{today}", None, body)])
    return in_force(ledger, today)[-1]


def lift(ledger: Ledger, number: int, who: str, why: str, today: date) -> Hold:
    """Lift a hold. Raises CitylakeError if none with this number is in force."""
    standing = {hold.number: hold for hold in in_force(ledger, today)}
    if number not in standing:
        raise CitylakeError("retention.no_hold", number=number, known="、".join(map(str, standing)) or "—")
    hold = standing[number]
    ledger.record([Entry(HOLD_END, hold.dataset, f"hold-{today}", None, {"hold": number, "who": who, "why": why})])
    return hold
