"""Faults of whole deliveries against what the platform found of them, day by day.

A finding is right if a fault of that source, column and day explains it; any other is a false alarm, also on a day on
which nothing was planted.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import duckdb

from citylake.compared.rows import by_place, place
from citylake.compared.scores import Score
from pipelines.codecs.sql import identifier
from pipelines.contracts.forms.sources import ChangeLog
from pipelines.contracts.load import Contracts, SourceContract
from pipelines.lake import delta
from pipelines.lake.zones import Lake
from simulator import DemoCity, PlantedFault
from simulator.disturbances import HELD_BACK, KINDS, REPLAYED, SAME_FILE

OTHER = "other"
"""Findings that no fault of the simulator causes."""
_CONSEQUENCE = "admit.drift"
"""What holds a batch because of another finding; it is no finding of its own."""
_ONE_CAUSE = {"pull.columns_missing": "missing_column", "admit.deletion_ceiling": "vanished"}
"""Whose false alarms they are, of codes that several kinds of faults cause."""


@dataclass(frozen=True)
class Found:
    """A finding of a day about a source. `key`: what it is about, as a rule a column of the contract."""

    day: date
    source: str
    code: str
    key: str
    text: str


@dataclass(frozen=True)
class Taken:
    """What became of a source on a day: `changed` rows of core, None if nothing was admitted."""

    day: date
    source: str
    status: str
    changed: int | None


@dataclass(frozen=True)
class Explained:
    """A fault that should be found, with its findings, and whether they are all there."""

    fault: PlantedFault
    source: str
    findings: tuple[Found, ...]
    complete: bool


def explained(
    contracts: Contracts, faults: Sequence[PlantedFault], found: Sequence[Found]
) -> tuple[list[Explained], list[Found]]:
    """Each fault that is to be found with the findings of its first day, and the findings that no fault explains."""
    sources = by_place(contracts)
    told = []
    for fault in (one for one in faults if one.kind.expected):
        source = sources[fault.fault.dataset]
        mine = tuple(one for one in found if one.day == fault.day and _explains(fault, source, one))
        complete = set(fault.kind.expected) <= {one.code for one in mine}
        told.append(Explained(fault, source.id, mine, complete))
    by_id = contracts.sources
    strange = [one for one in found if not any(_explains(fault, by_id[one.source], one) for fault in faults)]
    return told, strange


def scores(told: Sequence[Explained], strange: Sequence[Found]) -> Iterator[Score]:
    """Recall and precision of each kind of fault that is to be found."""
    owner = {code: kind for kind, about in KINDS.items() for code in about.expected if code != _CONSEQUENCE}
    owner |= _ONE_CAUSE
    for kind, about in KINDS.items():
        mine = [one for one in told if one.fault.fault.kind == kind]
        if about.expected and mine:
            right = sum(one.code != _CONSEQUENCE for entry in mine for one in entry.findings)
            wrong = sum(owner.get(one.code) == kind for one in strange)
            yield Score(kind, len(mine), sum(one.complete for one in mine), right + wrong, right)
    present = {one.fault.fault.kind for one in told}
    if others := sum(owner.get(one.code) not in present for one in strange):
        yield Score(OTHER, 0, 0, others, 0)


def taken(
    contracts: Contracts, lake: Lake, city: DemoCity, faults: Sequence[PlantedFault], outcomes: Sequence[Taken]
) -> Iterator[Score]:
    """Faults that are to change nothing: a file once more, a log told again, entries of a log out of order."""
    sources = by_place(contracts)
    status = {(one.day, one.source): one for one in outcomes}
    logs: dict[str, _Log] = {}
    for fault in faults:
        source = sources[fault.fault.dataset]
        if fault.fault.kind == SAME_FILE:
            outcome = status[fault.day, source.id]
            yield Score(SAME_FILE, 1, int(outcome.status in ("admitted", "unchanged") and not outcome.changed))
        elif fault.fault.kind in (HELD_BACK, REPLAYED):
            if source.id not in logs:
                logs[source.id] = _Log(source, lake, city)
            yield Score(fault.fault.kind, len(fault.fault.keys), sum(map(logs[source.id].stands, fault.fault.keys)))


def undetectable(faults: Sequence[PlantedFault]) -> dict[str, int]:
    """What nobody can tell from the deliveries, by kind: declared when it was planted."""
    kinds = [fault.fault.kind for fault in faults if fault.kind.undetectable]
    return {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)}


def _explains(fault: PlantedFault, source: SourceContract, found: Found) -> bool:
    """Whether a fault is the cause of a finding about this source."""
    if (found.source, place(source)) != (source.id, fault.fault.dataset) or not fault.seen_on(found.day):
        return False
    if found.code not in (*fault.kind.expected, *fault.kind.also):
        return False
    column = fault.fault.column
    if column is None or not found.key or found.code == "drift.volume":
        return True
    if found.code == "drift.renamed" and str(fault.fault.value) not in found.text:
        return False
    return found.key in (column, *(one.name for one in source.columns if one.physical_name == column))


class _Log:
    """A log of changes: the order of the last change of each key in the truth and in core."""

    def __init__(self, source: SourceContract, lake: Lake, city: DemoCity) -> None:
        load = source.form.load
        assert isinstance(load, ChangeLog), source.id
        physical = {column.name: column.physical_name for column in source.columns}
        self._key_of: dict[str, tuple[Any, ...]] = {}
        self._last: dict[tuple[Any, ...], int] = {}
        refused = {item.rybh for item in city.planted() if item.refusable and item.dataset == place(source)}
        for row in city.records(place(source)):
            number, key = str(row[physical[load.order]]), tuple(row[physical[name]] for name in load.key)
            if number not in refused:  # those change nothing
                self._key_of[number] = key
                self._last[key] = max(self._last.get(key, 0), int(number))
        read = delta.scan(delta.open_table(lake.core(source.org, source.dataset)))
        listed = ", ".join(map(identifier, load.key))
        rows = duckdb.sql(
            f"SELECT {listed}, arg_max({identifier(load.order)}, _batch) FROM {read.source} GROUP BY {listed}"
        ).fetchall()
        self._core: Mapping[tuple[Any, ...], int] = {row[:-1]: int(row[-1]) for row in rows}

    def stands(self, number: str) -> bool:
        """Whether core's last word on what an entry is about is the truth's; of refused entries nothing is asked."""
        key = self._key_of.get(number)
        return key is None or self._core.get(key) == self._last[key]
