"""A library row as it was: true on one day, known on another. From the present row and the history of its cells.

Belongs here: what the rows of a `<model>_history` amount to. Does not belong here: writing them (the dbt macro
`history`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from pipelines.messages import CitylakeError
from pipelines.release.ledger import Ledger
from pipelines.release.rows import ReleasedRows, Row
from pipelines.retention import ended

RECORD = "record"
"""The field that says that a row came or went."""
BOOKS = ("source_updated_at", "attr_source", "source_rows")
"""The columns that keep no history: they tell where the present values come from, and so nothing of an earlier day."""


@dataclass(frozen=True)
class Change:
    """One change of one cell. `before` and `after` are texts; `basis` says what `holds_from` rests on."""

    field: str
    before: str | None
    after: str | None
    holds_from: date
    basis: str
    known_on: date
    known_in: str


@dataclass(frozen=True)
class History:
    """What is known of one row: its columns as they are, and every change, the first one first.

    `row` is None when the row is gone.
    """

    model: str
    row: Row | None
    changes: tuple[Change, ...]


def history(released: ReleasedRows, model: str, key: Mapping[str, str]) -> History:
    """The history of the row of `model` with this whole key.

    Raises CitylakeError for a model that is unknown, unpublished or keeps no history, and for a row that never was.
    """
    contract, entry = released.published_model(model)
    log = f"{model}_history"
    if log not in released.contracts.models:
        kept = [name for name in released.contracts.models if f"{name}_history" in released.contracts.models]
        raise CitylakeError("history.none_kept", model=model, known="、".join(sorted(kept)))
    if sorted(key) != sorted(contract.form.key):
        raise CitylakeError("explain.no_row", model=model, key="、".join(contract.form.key))
    book, told = released.published_model(log)
    rows = released.some(contract, entry.version, key, "LIMIT 1")
    changes = [_change(row) for row in released.some(book, told.version, key, "ORDER BY known_in, history_field")]
    if not rows and not changes:
        raise CitylakeError("explain.no_row", model=model, key="、".join(contract.form.key))
    return History(model, rows[0] if rows else None, tuple(changes))


def kept_since(ledger: Ledger, model: str) -> date | None:
    """The newest day whose changes of a model are not kept any more; None while all are."""
    return ended.history_horizon(ledger, f"{model}_history")


def require_kept(ledger: Ledger, model: str, true_on: date, known_on: date) -> None:
    """Raises CitylakeError if changes of a model that were true or known by one of these days were ended."""
    ended.require_history(ledger, f"{model}_history", true_on, known_on)


def as_of(found: History, true_on: date, known_on: date) -> Row | None:
    """The row as it was true on one day, as far as it was known at the end of another; None when it was not there.
    Ask `require_kept` before.

    A cell has the value of the change that was known last among those known by `known_on` that hold from `true_on` or
    earlier; if there is none, the value before the first change of all. The books are left out.
    """
    fields: dict[str, list[Change]] = {}
    for change in found.changes:
        fields.setdefault(change.field, []).append(change)
    row = {name: value for name, value in (found.row or {}).items() if name not in BOOKS}
    row |= {field: _value(changes, true_on, known_on) for field, changes in fields.items()}
    there = row.pop(RECORD, "1" if found.row is not None else "0")
    return row if there == "1" else None


def _value(changes: Sequence[Change], true_on: date, known_on: date) -> str | None:
    told = [change for change in changes if change.known_on <= known_on and change.holds_from <= true_on]
    return told[-1].after if told else changes[0].before


def _change(row: Row) -> Change:
    return Change(
        field=row["history_field"] or "",
        before=row["history_before"],
        after=row["history_after"],
        holds_from=date.fromisoformat(row["holds_from"] or ""),
        basis=row["holds_basis"] or "",
        known_on=date.fromisoformat(row["known_on"] or ""),
        known_in=row["known_in"] or "",
    )
