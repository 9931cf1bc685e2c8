"""Refused and cleaned rows against what the simulator planted: recall and precision per source and kind, and the values
in core that cleaning was to mend, on a city nobody chose.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pytest

from pipelines.admission.changes import CHANGED, DUPLICATE
from pipelines.codecs.sql import identifier
from pipelines.connectors.base import UNREAD
from pipelines.contracts.load import Column, Contracts, SourceContract
from pipelines.contracts.models import ChangeLog
from pipelines.lake import delta
from pipelines.run import opened
from simulator import DirtRates, Planted
from tests.city import Town, seed_from_clock
from tests.release.test_whole_way import differences

pytestmark = pytest.mark.slow

KINDS = ("completeness", "format", "encoding", "check_digit", "code", "range", "consistency", "duplicate")
EXACT = frozenset({"format", "encoding", "check_digit", "code", "range"})
"""Kinds a single value tells; the others look at several values or rows."""
DIRT = DirtRates(encoding=0.0004)
DAYS = 3


@dataclass(frozen=True)
class Refused:
    """A row of quarantine: as it was delivered, and the kinds of rules that refused it."""

    delivered: Mapping[str, Any]
    kinds: frozenset[str]


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    seed = seed_from_clock()
    print(f"\ncity seed {seed} (repeat with CITYLAKE_TEST_SEED)")
    town = Town(tmp_path, persons=60_000, seed=seed, dirt=DIRT)
    yield town
    town.close()


def test_everything_planted_is_refused_and_nothing_else(town: Town, contracts: Contracts) -> None:
    for day in range(DAYS):
        if day:
            town.city.tick()
        with opened(town.settings, f"day {day}") as run:
            statuses = {name: run.ingest(name).status for name in contracts.sources}
        assert set(statuses.values()) <= {"admitted", "unchanged"}, statuses
    planted = town.city.planted()
    judged = [source for source in contracts.sources.values() if source.connector.verb != "reference"]
    assert {place(source) for source in judged} == {item.dataset for item in planted}
    worst = {(source.id, *line): line for source in judged for line in compare(town, source, planted)}
    for source, kind, recall, precision, due in worst:
        print(f"{source} {kind}: recall {recall:.4f}, precision {precision:.4f}, planted {due}")
        floor = 1.0 if kind in EXACT else 0.99
        assert recall >= floor and precision >= floor, (source, kind)
    assert {item.kind for item in planted if item.undetectable} == {"plausible"}
    for source in judged:
        mended = cleaned(town, source, contracts, planted)
        print(f"{source.id} cleanable: {len(mended)} compared")
        assert [item for item, found, true in mended if found != true] == []
        assert mended or not [item for item in planted if item.dataset == place(source) and is_cleanable(item)]


def test_the_state_of_core_is_the_truth(town: Town) -> None:
    for day in range(2):
        if day:
            town.city.tick()
        town.run(f"day {day}")
    assert differences(town) == []


def is_cleanable(item: Planted) -> bool:
    """Whether cleaning is to mend the value, and nobody has corrected it since."""
    return item.kind == "cleanable" and item.ended is None


def cleaned(
    town: Town, source: SourceContract, contracts: Contracts, everything: Sequence[Planted]
) -> list[tuple[Planted, Any, Any]]:
    """Each planted value that cleaning was to mend, with the value in core and the true one.

    Of a log of changes core writes the last change of each key only: earlier ones are not compared. Everything else
    must be found.
    """
    last = delivered_until(town, source)
    due = [item for item in everything if item.dataset == place(source) and is_cleanable(item) and item.day <= last]
    columns = {column.physical_name: column for column in source.columns}
    keys = [columns[name] for name in key_columns(source)]
    read = delta.scan(delta.open_table(town.settings.lake.core(source.org, source.dataset)))
    compared = []
    for name in sorted({item.column for item in due} & columns.keys()):
        column = columns[name]
        listed = ", ".join(identifier(one.name) for one in [*keys, column])
        with duckdb.connect() as con:
            rows = con.execute(f"SELECT {listed} FROM {read.source} WHERE _op <> 'D' ORDER BY _batch").fetchall()
        values = {row[:-1]: row[-1] for row in rows}
        for item in (one for one in due if one.column == name):
            key = tuple(parsed(one, part, contracts) for one, part in zip(keys, item.rybh.split(" "), strict=True))
            if key in values:
                compared.append((item, values[key], parsed(column, item.true, contracts)))
            else:
                assert isinstance(source.form.load, ChangeLog), (source.id, item.defect, item.rybh)
    return compared


def parsed(column: Column, value: str | None, contracts: Contracts) -> Any:
    """A clean value as core holds it, told without the engine's cleaning."""
    if value is None:
        return None
    kind, codes = column.definition.logicalType, column.definition.codes
    if kind == "date":
        return date.fromisoformat(value[:10])
    if kind == "timestamp":
        moment = datetime.fromisoformat(value)
        return moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(contracts.city.timezone))
    if kind in ("integer", "number"):
        return float(value)
    return contracts.spellings[codes].get(value, value) if codes else value


def place(source: SourceContract) -> str:
    """How the simulator names what a source delivers."""
    arguments = source.connector.arguments
    return str(arguments.get("table") or arguments.get("files") or arguments.get("path") or arguments["topics"][0])


def compare(
    town: Town, source: SourceContract, everything: Sequence[Planted]
) -> Iterator[tuple[str, float, float, int]]:
    """Recall, precision and number planted of each kind of one source. Every refused row must be a planted one."""
    last = delivered_until(town, source)
    planted = [item for item in everything if item.dataset == place(source) and item.refusable and item.day <= last]
    rows = refused(town, source)
    found = {number: [item for item in planted if is_of(item, row, source)] for number, row in enumerate(rows)}
    strangers = [rows[number] for number, items in found.items() if not items]
    assert not strangers, (source.id, len(strangers), strangers[0].kinds)
    for kind in KINDS:
        due = [item for item in planted if item.kind == kind]
        if not due:
            continue
        hit = {number for number, row in enumerate(rows) if kind in row.kinds}
        told = {id(item) for number in hit for item in found[number]}
        right = [number for number in hit if any(kind in (item.kind, *item.also) for item in found[number])]
        yield kind, sum(id(item) in told for item in due) / len(due), len(right) / max(len(hit), 1), len(due)


def delivered_until(town: Town, source: SourceContract) -> date:
    """The last day whose mistakes were delivered: files of whole registers come on some days only."""
    if source.connector.verb != "file_drop":
        return town.city.today
    folder = town.city.home / "drops" / source.connector.arguments["connection"]
    days = [file.stem.rpartition("_")[2] for file in folder.glob(source.connector.arguments["files"])]
    return date.fromisoformat(max(days))


def refused(town: Town, source: SourceContract) -> list[Refused]:
    """The rows of quarantine, of all batches."""
    read = delta.scan(delta.open_table(town.settings.lake.quarantine(source.org, source.dataset)))
    known = {rule.id: rule.about.kind.value for rule in source.rules} | dict.fromkeys((DUPLICATE, CHANGED), "duplicate")
    rows = duckdb.sql(f"SELECT rules, delivered FROM {read.source}").fetchall()
    found = []
    for rules, delivered in rows:
        row = json.loads(delivered)
        # `<column>.type` and `row.unreadable` are no rules of the contract
        kinds = {known.get(rule, "format") for rule in rules.split(",")}
        found.append(Refused(row, frozenset({"encoding"} if is_undecodable(row) else kinds)))
    return found


def is_undecodable(row: Mapping[str, Any]) -> bool:
    """Whether a row is one that was kept whole because its bytes are no text, with signs in their place."""
    unread = str(row.get(UNREAD) or "")
    return "\ufffd" in unread or "\\x" in unread


def is_of(item: Planted, row: Refused, source: SourceContract) -> bool:
    """Whether a refused row is the one in which a mistake was planted: its key is that of the record, as delivered."""
    unread = row.delivered.get(UNREAD)
    if unread is not None:
        return str(unread) == item.shown or str(unread).startswith(item.rybh)
    for name, clean in zip(key_columns(source), item.rybh.split(" "), strict=True):
        expected = item.shown if name == item.column else clean
        if text(row.delivered.get(name)) != text(expected):
            return False
    return True


def key_columns(source: SourceContract) -> list[str]:
    """The physical columns by which the simulator numbers records: those of changes are numbered by their order."""
    load = source.form.load
    key = [load.order] if isinstance(load, ChangeLog) else load.key
    physical = {column.name: column.physical_name for column in source.columns}
    return [physical[name] for name in key]


def text(value: Any) -> str:
    return "" if value is None else str(value)
