"""What the ledger says was ended, for whoever asks for it: an answer that names contract and day, not less data."""

from collections.abc import Collection
from datetime import date

from pipelines.contracts.load import SourceContract
from pipelines.messages import CitylakeError
from pipelines.release.ledger import RETENTION, Ledger


def require_raw(ledger: Ledger, contract: SourceContract, batches: Collection[int]) -> None:
    """Raises CitylakeError naming the first of these batches of a source whose raw rows were ended."""
    for entry in ledger.of_kind(RETENTION):
        if gone := sorted({*entry.body["batches"].get(contract.id, ())} & {*batches}):
            said = entry.body["contracts"][contract.id]["retention"]
            about = {"subject": contract.id, "batch": gone[0], "retention": said, "day": entry.body["as_of"]}
            raise CitylakeError("retention.raw_ended", **about)


def require_history(ledger: Ledger, model: str, *days: date) -> None:
    """Raises CitylakeError if changes that were known by one of these days were ended: what it would show is not what
    was known then."""
    until = history_horizon(ledger, model)
    if until is not None and min(days) <= until:
        raise CitylakeError("retention.before_horizon", model=model, day=min(days), horizon=until)


def require_core(ledger: Ledger, source: str, day: date) -> None:
    """Raises CitylakeError if rows of a source that had been over by this day were ended: what is left is not what was
    in force then."""
    place = f"core/{source}"
    texts = [one.body["horizons"].get(source) for one in ledger.of_kind(RETENTION) if place in one.body["places"]]
    until = max((date.fromisoformat(text) for text in texts if text), default=None)
    if until is not None and day <= until:
        raise CitylakeError("retention.before_horizon", model=source, day=day, horizon=until)


def history_horizon(ledger: Ledger, model: str) -> date | None:
    """The newest day whose changes of a history were ended, None if none were."""
    texts = (entry.body["horizons"].get(model) for entry in ledger.of_kind(RETENTION) if model in entry.body["places"])
    return max((date.fromisoformat(text) for text in texts if text), default=None)
