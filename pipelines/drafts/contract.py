"""A draft of a source contract as YAML: how it is loaded, its columns with the reasons, and what is still to decide.

Holds names, remarks and counts, never a value of a row.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipelines.drafts.fields import Proposal
from pipelines.drafts.looks import Sample
from pipelines.drafts.texts import both, comment, flow, undecided

OVERLAP = 3 * 24 * 3600
"""Seconds that a cursor steps back: rows may come late by a weekend."""
_CHANGED = re.compile(r"更新|修改|变更时间|gxsj|xgsj|bgsj|updat|modif|chang|last_", re.IGNORECASE)
"""What columns are called that say when a row was last written."""
_OPERATION = "operation"


@dataclass(frozen=True)
class Draft:
    """One dataset as it was found. `connector`: the call of the contract; `keys`: those that the source states;
    `notes`: ids of messages under `draft.note`, with what fills them."""

    org: str
    dataset: str
    title: str
    connector: Mapping[str, Any]
    sample: Sample
    proposals: Sequence[Proposal]
    keys: Sequence[tuple[str, ...]] = ()
    notes: Sequence[tuple[str, dict[str, Any]]] = field(default=())

    @property
    def new(self) -> dict[str, Proposal]:
        """The fields that it asks for."""
        return {one.field: one for one in self.proposals if one.new is not None}


def contract(draft: Draft) -> str:
    """The draft as the text of a contract."""
    return "\n".join(_lines(draft)) + "\n"


def fields(drafts: Sequence[Draft]) -> str:
    """The new fields of several drafts, to be added to fields.yaml."""
    lines = [comment(both("draft.head.fields"))]
    for draft in drafts:
        for name, one in draft.new.items():
            lines += ["", comment(f"{draft.org}/{draft.dataset} · {one.column.name}：{_why(one)}"), f"{name}:"]
            lines += [f"  {key}: {flow(value)}" for key, value in (one.new or {}).items()]
    return "\n".join(lines) + "\n"


def _lines(draft: Draft) -> Iterator[str]:
    yield "# yaml-language-server: $schema=../../.schema/source.json"
    yield comment(both("draft.head.contract", rows=draft.sample.rows))
    for code, about in draft.notes:
        yield comment(both(f"draft.note.{code}", **about))
    if draft.sample.unread:
        yield comment(both("draft.note.unread", rows=draft.sample.unread))
    yield f"name: {flow(draft.title or undecided('name'))}"
    yield f"nameEn: {flow(undecided('english'))}"
    yield "version: 1.0.0"
    yield f"status: {flow(undecided('status'))}"
    yield f"description: {flow(undecided('description'))}"
    yield f"connector: {flow(draft.connector)}"
    load, reasons = _load(draft)
    for code, about in reasons:
        yield comment(both(f"draft.load.{code}", **about))
    yield f"load: {flow(load)}"
    yield f"slaProperties: {flow({'frequency': undecided('frequency'), 'retention': undecided('retention')})}"
    yield "properties:"
    key = set(load["key"])
    for one in draft.proposals:
        entry: dict[str, Any] = {"name": one.field}
        if one.column.place is not None:
            entry["physicalName"] = undecided("column", place=one.column.place)
        elif one.column.name != one.field:
            entry["physicalName"] = one.column.name
        if one.field in key or not one.column.nullable:
            entry["required"] = True
        if one.level is not None:
            entry["classification"] = one.level
        yield f"  - {flow(entry)}  {comment(_why(one))}"


def _why(one: Proposal) -> str:
    told = [both(f"draft.why.{code}", **about) for code, about in one.reasons]
    return "；".join([*([one.column.title] if one.column.title else []), *told])


def _load(draft: Draft) -> tuple[dict[str, Any], list[tuple[str, dict[str, Any]]]]:
    """How the source may be loaded, and why. Without a key of its own nobody knows what tells rows apart."""
    names = {one.column.name: one.field for one in draft.proposals}
    stated = next((key for key in draft.keys if set(key) <= names.keys()), None)
    reasons: list[tuple[str, dict[str, Any]]] = []
    if stated:
        key = [names[column] for column in stated]
        reasons.append(("key", {"columns": "、".join(stated)}))
    else:
        key = [undecided("key")]
        reasons.append(("no_key", {"columns": "、".join(draft.sample.unique()) or "—"}))
    operation = next((one for one in draft.proposals if _is_operation(draft, one)), None)
    if operation is not None:
        reasons.append(("change_log", {"column": operation.column.name}))
        return {"mode": "change_log", "key": key, "order": undecided("order"), "operation": operation.field}, reasons
    cursors = [one for one in draft.proposals if _kind(draft, one) in ("timestamp", "date") and _says_change(one)]
    if "database" in draft.connector:
        listed = "、".join(one.column.name for one in cursors) or "—"
        reasons.append(("cursors", {"columns": listed}))
        surest = [one for one in cursors if not one.column.nullable and _kind(draft, one) == "timestamp"]
        if stated and surest:
            reasons.append(("cursor", {"column": surest[0].column.name}))
            return {"mode": "cursor", "key": key, "cursor": surest[0].field, "overlap": OVERLAP}, reasons
    reasons.append(("snapshot", {}))
    return {"mode": "snapshot_diff", "key": key, "deletionCeiling": 0.02, "volumeFloor": 0.9}, reasons


def _is_operation(draft: Draft, one: Proposal) -> bool:
    look = draft.sample.columns[one.column.name]
    return _OPERATION in look.codes and one.field == _OPERATION


def _kind(draft: Draft, one: Proposal) -> str:
    return one.column.type or draft.sample.columns[one.column.name].type


def _says_change(one: Proposal) -> bool:
    return any(_CHANGED.search(text) for text in (one.column.name, one.column.title, one.field))
