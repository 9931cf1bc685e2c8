"""Library rows as they were: true on one day, known on another. From the present rows and the history of their cells.

Belongs here: what the rows of a `<model>_history` amount to. Does not belong here: writing them (the dbt macro
`history`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date

from pipelines.codecs.sql import identifier, literal
from pipelines.contracts.load import ProductContract
from pipelines.messages import CitylakeError
from pipelines.release.ledger import Ledger, Recorded
from pipelines.release.person import moved_ids
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

    `row` is None when the row is gone. `moved`: ids of persons in the key that merged or were split since, by column
    the id of today. If the row stood under its own id, this is what was told of it until then (`until_then`); else all
    this is of the id of today.
    """

    model: str
    key: tuple[str, ...]
    row: Row | None
    changes: tuple[Change, ...]
    moved: Mapping[str, str] = field(default_factory=dict)
    until_then: bool = False


def history(released: ReleasedRows, model: str, key: Mapping[str, str]) -> History:
    """The history of the row of `model` with this whole key.

    Raises CitylakeError for a model that is unknown, unpublished or keeps no history, and for a row that never was.
    """
    contract, entry, book, told = _published(released, model)
    if sorted(key) != sorted(contract.form.key):
        raise CitylakeError("explain.no_row", model=model, key="、".join(contract.form.key))
    rows = released.some(contract, entry.version, key, "LIMIT 1")
    changes = [_change(row) for row in released.some(book, told.version, key, "ORDER BY known_in, history_field")]
    columns = tuple(contract.form.key)
    if rows:
        return History(model, columns, rows[0], tuple(changes))
    moved = moved_ids(released, contract, key)
    if not changes and not moved:
        raise CitylakeError("explain.no_row", model=model, key="、".join(contract.form.key))
    if changes:
        return History(model, columns, None, tuple(changes), moved, until_then=bool(moved))
    return replace(history(released, model, {**key, **moved}), moved=moved)


def _published(released: ReleasedRows, model: str) -> tuple[ProductContract, Recorded, ProductContract, Recorded]:
    """Contract and release of a model and of its history, the model's that was the newest when its history was told:
    where a history was refused since, it does not lead to the newest rows. Raises CitylakeError."""
    contract, entry = released.published_model(model)
    log = f"{model}_history"
    if log not in released.contracts.models:
        kept = [name for name in released.contracts.models if f"{name}_history" in released.contracts.models]
        raise CitylakeError("history.none_kept", model=model, known="、".join(sorted(kept)))
    book, told = released.published_model(log)
    return contract, released.ledger.release_beside(model, told) or entry, book, told


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
    earlier; if there is none, the value before the first change of all. That a row goes is told of the record and of
    each cell with a value, that it comes of the record alone: with its last coming a cell has the value that the next
    change found. The books are left out.
    """

    def happened(change: Change) -> bool:
        return change.known_on <= known_on and change.holds_from <= true_on

    records = [change for change in found.changes if change.field == RECORD]
    present = "0" if found.row is None else "1"
    told = [change for change in records if happened(change)]
    there = told[-1].after if told else records[0].before if records else present
    if there != "1":
        return None
    came = told[-1].known_in if told else ""
    later = [change for change in found.changes if change.known_in > came]
    gone = next((change.known_in for change in later if change.field == RECORD), None)
    row = {name: value for name, value in (found.row or {}).items() if name not in BOOKS}
    for name in {*row, *(change.field for change in found.changes)} - {RECORD, *found.key}:
        cell = [change for change in later if change.field == name]
        known = [change for change in cell if happened(change)]
        if known:
            row[name] = known[-1].after
        elif cell and (gone is None or cell[0].known_in <= gone):
            row[name] = cell[0].before
        elif gone is not None:
            row[name] = None  # it went without a word of this cell, which had no value then
    return row


def all_as_of(released: ReleasedRows, model: str, true_on: date, known_on: date) -> str:
    """SQL of all rows of a model as they were true on one day, as far as they were known at the end of another: each as
    `as_of` gives it, every value as text. Ask `require_kept` before. Raises CitylakeError as `history` does."""
    contract, entry, book, told = _published(released, model)
    (key,) = map(identifier, contract.form.key)
    happened = f"known_on <= DATE '{known_on}' AND holds_from <= DATE '{true_on}'"
    cells = [item.name for item in contract.columns if item.name not in (*contract.form.key, *BOOKS)]
    record = f"history_field = {literal(RECORD)}"
    changed = ", ".join(
        f"max({{'edition': known_in, 'value': history_after}}) FILTER ({field} AND {happened}) AS last_{number}, "
        f"min({{'edition': known_in, 'value': history_before}}) FILTER ({field}) AS first_{number}"
        for number, field in enumerate(f"history_field = {literal(name)}" for name in cells)
    )
    read = released.relation(book, told.version)
    records = (
        f"(SELECT {key} AS came_key, max(known_in) FILTER (history_after = '1' AND {happened}) AS came, "
        f"max({{'edition': known_in, 'value': history_after}}) FILTER ({happened}) AS last, "
        f"min({{'edition': known_in, 'value': history_before}}) AS first FROM {read} WHERE {record} GROUP BY ALL)"
    )
    log = (
        f"(SELECT {key} AS changed_key, min(known_in) FILTER ({record}) AS gone, {changed} FROM {read} "
        f"LEFT JOIN {records} ON came_key = {key} WHERE known_in > coalesce(came, '') GROUP BY ALL)"
    )

    def value(number: int, now: str) -> str:
        last, first = f"c.last_{number}", f"c.first_{number}"
        return (
            f"CASE WHEN {last} IS NOT NULL THEN {last}.value "
            f"WHEN {first}.edition <= coalesce(c.gone, {first}.edition) THEN {first}.value "
            f"WHEN c.gone IS NULL THEN {now} END"
        )

    listed = ", ".join(
        f"{value(number, f'CAST(n.{identifier(name)} AS VARCHAR)')} AS {identifier(name)}"
        for number, name in enumerate(cells)
    )
    there = (
        f"CASE WHEN r.last IS NOT NULL THEN r.last.value WHEN r.first IS NOT NULL THEN r.first.value "
        f"WHEN n.{key} IS NOT NULL THEN '1' END"
    )
    present = released.relation(contract, entry.version)
    return (
        f"SELECT coalesce(n.{key}, r.came_key) AS {key}, {listed} FROM {present} n "
        f"FULL JOIN {records} r ON r.came_key = n.{key} "
        f"LEFT JOIN {log} c ON c.changed_key = coalesce(n.{key}, r.came_key) WHERE {there} = '1' ORDER BY 1"
    )


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
