"""Where a source is read on from, moved by a steward: back, so that the source tells a range again, or forward.

A move is a receipt with who, why and both positions; the next pull starts there. What was pulled before stays. To judge
again what is kept in raw is a replay and asks the source nothing (`replays`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pipelines.admission.receive import asked_of, position_of
from pipelines.contracts.forms.sources import position
from pipelines.contracts.load import SourceContract
from pipelines.messages import CitylakeError
from pipelines.register.receipts import REPLAY, RETURNED, Receipts, Stage

FORGETFUL = ("mqtt",)
"""Connectors whose sources do not tell again what was acknowledged."""
VALUE = "value"
_COMPACT = {8: "%Y%m%d", 14: "%Y%m%d%H%M%S"}
"""Days and moments of digits alone, by their length."""
_YEARS = range(1970, 2100)
"""Years in which digits are taken for a day: other numbers that could be one are rare."""


@dataclass(frozen=True)
class Moved:
    """A move as it was recorded. Positions are plain JSON. `forward`: what lies between is left out."""

    before: dict[str, Any]
    after: dict[str, Any]
    forward: bool


def to_value(contract: SourceContract, receipts: Receipts, values: Sequence[str], who: str, why: str) -> Moved:
    """Read on from a value of the cursor, or a tuple of a composite one. Raises CitylakeError for a source without a
    cursor, one that was never pulled, and values that are not written as the position is."""
    columns = position(contract.form.load)
    before = _before(contract, receipts)
    if not columns:
        raise CitylakeError("position.no_cursor", subject=contract.id, mode=contract.form.load.mode)
    known = before.get(VALUE)
    if known is None:
        raise CitylakeError("position.no_value", subject=contract.id)
    shown = known if isinstance(known, list) else [known]
    counted = [_counted(contract, column) for column in columns]
    if len(values) != len(shown) or not all(map(alike, values, shown, counted)):
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
    return _move(contract, receipts, before, dict(own[place - 1].body["position"]) if place else {}, who, why, batch)


def _before(contract: SourceContract, receipts: Receipts) -> dict[str, Any]:
    """Where the next pull would go on now. Raises CitylakeError where that cannot be moved."""
    if contract.connector.verb in FORGETFUL:
        raise CitylakeError("position.forgetful", subject=contract.id, verb=contract.connector.verb)
    last = receipts.last(Stage.PULL, contract.id)
    if last is None:
        raise CitylakeError("position.never", subject=contract.id)
    return position_of(contract, last, receipts)


def _move(
    contract: SourceContract,
    receipts: Receipts,
    before: dict[str, Any],
    after: dict[str, Any],
    who: str,
    why: str,
    batch: int | None = None,
) -> Moved:
    """`batch`: the first one that is to be read again; files that it and later ones took are then not known."""
    from_there = {} if batch is None else {"batch": batch}
    body = {"position": after, "before": before, "who": who, "why": why, **from_there}
    receipts.add(Stage.POSITION, contract.id, body)
    return Moved(before, after, _goes_forward(before, after))


def _counted(contract: SourceContract, column: str) -> bool:
    """Whether a column of the cursor holds numbers, by its contract."""
    return any(one.name == column and one.definition.logicalType in ("integer", "number") for one in contract.columns)


def alike(value: str, known: Any, counted: bool) -> bool:
    """Whether a value is one of the kind that the position is, and written as it is: a number, a day or moment that
    exists, with or without a zone, or a text of digits in the same places. `counted`: the column holds numbers, so that
    digits are no day, whatever they look like."""
    was = str(known)
    if not (counted or isinstance(known, int)) and (form := _compact(was)):
        return len(value) == len(was) and _is_number(value) and _moment(value, form) is not None
    if _is_number(was):
        return _is_number(value) and (isinstance(known, int) or len(value) == len(was) or not was.startswith("0"))
    if (known_moment := _iso(was)) is None:
        return len(value) == len(was) and all(
            one.isdigit() == other.isdigit() and (one.isdigit() or one == other)
            for one, other in zip(value, was, strict=True)
        )
    # A day alone has ten characters, and is no moment; the eleventh stands between day and time.
    moment = _iso(value)
    zoned = moment is not None and (moment.tzinfo is None) is (known_moment.tzinfo is None)
    return zoned and value[4:11:3] == was[4:11:3] and value[10:11] == was[10:11]


def _goes_forward(before: dict[str, Any], after: dict[str, Any]) -> bool:
    """Whether a move leaves out what lies between. False where positions have no order, as sets of files."""
    if not before:
        return bool(after)
    if VALUE not in before or VALUE not in after:
        return False
    was, is_ = (
        [_order(one) for one in (value if isinstance(value, list) else [value])]
        for value in (before[VALUE], after[VALUE])
    )
    return is_ > was


def _order(value: Any) -> tuple[str, Any]:
    """What positions of one kind are compared by; kinds apart, should a source have changed its own."""
    text = str(value)
    if _is_number(text):
        return "number", int(text)
    moment = _iso(text)
    return ("text", text) if moment is None else ("time", moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def _is_number(text: str) -> bool:
    return text.removeprefix("-").isdecimal() and text.isascii()


def _compact(text: str) -> str | None:
    """The form of a day or moment that is written by digits alone; None for other numbers."""
    form = _COMPACT.get(len(text))
    moment = _moment(text, form) if form and _is_number(text) else None
    return form if moment and moment.year in _YEARS else None


def _moment(text: str, form: str) -> datetime | None:
    try:
        return datetime.strptime(text, form)
    except ValueError:
        return None


def _iso(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
