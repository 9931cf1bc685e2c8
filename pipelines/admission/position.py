"""Where a source is read on from, moved by a steward: back, so that the source tells a range again, or forward.

A move is a receipt with who, why and both positions; the next pull starts there. What was pulled before stays. To judge
again what is kept in raw is a replay and asks the source nothing (`replays`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pipelines.admission.receive import asked_of, position_of
from pipelines.contracts import models
from pipelines.contracts.load import SourceContract
from pipelines.messages import CitylakeError
from pipelines.register.receipts import REPLAY, RETURNED, Receipts, Stage

FORGETFUL = ("mqtt",)
"""Connectors whose sources do not tell again what was acknowledged."""
VALUE = "value"


@dataclass(frozen=True)
class Moved:
    """A move as it was recorded. Positions are plain JSON."""

    before: dict[str, Any]
    after: dict[str, Any]


def to_value(contract: SourceContract, receipts: Receipts, values: Sequence[str], who: str, why: str) -> Moved:
    """Read on from a value of the cursor, or a tuple of a composite one. Raises CitylakeError for a source without a
    cursor, one that was never pulled, and values that are not written as the position is."""
    columns = models.position(contract.form.load)
    before = _before(contract, receipts)
    if not columns:
        raise CitylakeError("position.no_cursor", subject=contract.id, mode=contract.form.load.mode)
    known = before.get(VALUE)
    if known is None:
        raise CitylakeError("position.no_value", subject=contract.id)
    shown = known if isinstance(known, list) else [known]
    if len(values) != len(shown) or not all(_alike(one, other) for one, other in zip(values, shown, strict=True)):
        raise CitylakeError(
            "position.form", subject=contract.id, columns="、".join(columns), now="，".join(map(str, shown))
        )
    made = [int(one) if isinstance(other, int) else one for one, other in zip(values, shown, strict=True)]
    return _move(contract, receipts, before, {**before, VALUE: made if isinstance(known, list) else made[0]}, who, why)


def to_batch(contract: SourceContract, receipts: Receipts, batch: int, who: str, why: str) -> Moved:
    """Read again from where batch `batch` began: the position that the delivery before it returned. Raises
    CitylakeError for a batch that the source did not deliver, or that was asked for in another way."""
    before = _before(contract, receipts)
    asked = asked_of(contract)
    own = [
        pull
        for pull in receipts.pulls(contract.id)
        if pull.body.get("asked") == asked and not pull.body["origin"].startswith((REPLAY, RETURNED))
    ]
    place = next((number for number, pull in enumerate(own) if pull.batch == batch), None)
    if place is None:
        raise CitylakeError("position.no_batch", subject=contract.id, batch=batch)
    return _move(contract, receipts, before, dict(own[place - 1].body["position"]) if place else {}, who, why)


def _before(contract: SourceContract, receipts: Receipts) -> dict[str, Any]:
    """Where the next pull would go on now. Raises CitylakeError where that cannot be moved."""
    if contract.connector.verb in FORGETFUL:
        raise CitylakeError("position.forgetful", subject=contract.id, verb=contract.connector.verb)
    last = receipts.last(Stage.PULL, contract.id)
    if last is None:
        raise CitylakeError("position.never", subject=contract.id)
    return position_of(contract, last, receipts)


def _move(
    contract: SourceContract, receipts: Receipts, before: dict[str, Any], after: dict[str, Any], who: str, why: str
) -> Moved:
    receipts.add(Stage.POSITION, contract.id, {"position": after, "before": before, "who": who, "why": why})
    return Moved(before, after)


def _alike(value: str, known: Any) -> bool:
    """Whether a value is written as the position is: a number, a moment with or without a zone, or a text of digits in
    the same places."""
    if isinstance(known, int) or _is_number(str(known)):
        return _is_number(value) and (isinstance(known, int) or len(value) == len(known) or not known.startswith("0"))
    try:
        was = datetime.fromisoformat(str(known))
        is_ = datetime.fromisoformat(value)
    except ValueError:
        return len(value) == len(str(known)) and all(
            one.isdigit() == other.isdigit() and (one.isdigit() or one == other)
            for one, other in zip(value, str(known), strict=True)
        )
    # A day alone has ten characters, and is no moment.
    return (was.tzinfo is None) is (is_.tzinfo is None) and (len(value) > 10) is (len(str(known)) > 10)


def _is_number(text: str) -> bool:
    return text.removeprefix("-").isdecimal() and text.isascii()
