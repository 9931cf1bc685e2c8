"""Planted mistakes in rows against refused rows in quarantine and values in core, source by source."""

import json
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa

from citylake.compared.scores import Score
from pipelines.admission.changes import CHANGED, DUPLICATE
from pipelines.codecs.sql import identifier
from pipelines.connectors.base import UNREAD
from pipelines.contracts.forms.sources import ChangeLog, WholeTable, newest
from pipelines.contracts.load import Column, Contracts, SourceContract
from pipelines.lake import delta
from pipelines.lake.edition import row_key
from pipelines.lake.zones import Lake
from pipelines.linkage import bearers, tables
from simulator import DemoCity, Planted

KINDS = ("completeness", "format", "encoding", "check_digit", "code", "range", "consistency", "duplicate")
CLEANABLE, LATE, LINE_BREAK, CORRECTED, SHARED = "cleanable", "late", "line_break", "corrected", "shared"
REPORTED_LATE = "reported_late"
HARMLESS = (CLEANABLE, LATE, REPORTED_LATE)
"""What is planted in rows with which nothing is wrong once they are cleaned."""
_TORN, _EXCEL, _TYPE, _HISTORY = "torn_row", "excel_number", "type", "history"
_NAMED = {
    **dict.fromkeys(("ragged_long", "ragged_short", "broken_json"), _TORN),
    "id_as_number": _EXCEL,
    **dict.fromkeys(("second_marriage", "share_not_whole", "encumbered_before_registration"), _HISTORY),
}
"""Mistakes that have a line of their own besides the one of their kind."""
_MAY_SHOW = {_TYPE: "format", _HISTORY: "consistency"}
"""The kind of mistake that may show as one of these lines: a torn row moves a text into a column of dates."""
ORDER = (
    *KINDS[:2],
    _TYPE,
    _TORN,
    _EXCEL,
    *KINDS[2:7],
    _HISTORY,
    KINDS[7],
    SHARED,
    CLEANABLE,
    LINE_BREAK,
    LATE,
    CORRECTED,
)
"""In which people read the kinds."""
_AS_NUMBER = re.compile(r"\d\.\d{14}E\+\d+")


@dataclass(frozen=True)
class Refused:
    """A row of quarantine: as it was delivered, the kinds of rules that refused it, and the lines besides those of
    their kinds in which it is counted."""

    delivered: Mapping[str, Any]
    kinds: frozenset[str]
    lines: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Compared:
    """One source. `strangers`: refused rows in which nothing was planted; `unmended`: values in core that cleaning did
    not make what they should be: mistake, found, true."""

    source: str
    scores: tuple[Score, ...]
    strangers: tuple[Refused, ...]
    unmended: tuple[tuple[Planted, Any, Any], ...]


def judged(contracts: Contracts) -> list[SourceContract]:
    """The sources that the simulated city delivers; the others are files of the contracts themselves."""
    return [source for source in contracts.sources.values() if source.connector.verb != "reference"]


def place(source: SourceContract) -> str:
    """How the simulator names what a source delivers."""
    arguments = source.connector.arguments
    return str(arguments.get("table") or arguments.get("files") or arguments.get("path") or arguments["topics"][0])


def by_place(contracts: Contracts) -> dict[str, SourceContract]:
    """The sources by what they are delivered; of several of one table the first by name, which takes all of it."""
    found: dict[str, SourceContract] = {}
    for source in judged(contracts):
        found.setdefault(place(source), source)
    return found


def compare(
    source: SourceContract,
    contracts: Contracts,
    lake: Lake,
    everything: Sequence[Planted],
    last: date,
    due: Callable[[Planted], bool] = lambda item: True,
) -> Compared:
    """What was planted in a source until the day `last`, the last one that it delivered, against what was found.

    `due`: which of the planted ones must be found; by default all, as each day was delivered.
    """
    mine = [item for item in everything if item.dataset == place(source) and item.day <= last]
    planted = [item for item in mine if not _overlooked(source, item)]
    wanted = [item for item in planted if due(item)]
    rows = _refused(source, lake)
    cause = _Causes(source, [item for item in planted if item.refusable])
    found = [cause.of(row) for row in rows]
    strangers = tuple(row for row, items in zip(rows, found, strict=True) if not items)
    mended = _cleaned(source, contracts, lake, wanted)
    scores = [
        *_refusals(source, wanted, rows, found),
        *_mended(mended),
        *_arrivals(source, contracts, lake, wanted, rows),
    ]
    scores += _parted(source, lake, wanted)
    return Compared(source.id, tuple(scores), strangers, tuple(entry for entry in mended if entry[1] != entry[2]))


def _overlooked(source: SourceContract, item: Planted) -> bool:
    """Whether a mistake lies in a value that the source does not take: another source of the same table finds it."""
    return item.refusable and item.defect not in _NAMED and item.column in source.form.ignored


def delivered_until(source: SourceContract, city: DemoCity) -> date:
    """The last day whose mistakes were delivered: files of whole registers come on some days only."""
    if source.connector.verb != "file_drop":
        return city.today
    folder = city.home / "drops" / source.connector.arguments["connection"]
    days = [file.stem.rpartition("_")[2] for file in folder.glob(source.connector.arguments["files"])]
    return date.fromisoformat(max(days))


def undetectable(planted: Sequence[Planted]) -> dict[str, int]:
    """What nobody can tell from the rows, by kind: declared when it was planted."""
    count: dict[str, int] = defaultdict(int)
    for item in planted:
        if item.undetectable:
            count[item.kind] += 1
    return dict(count)


def _refusals(
    source: SourceContract, planted: Sequence[Planted], rows: Sequence[Refused], found: Sequence[Sequence[Planted]]
) -> Iterator[Score]:
    """The kinds of rules, and the mistakes that have a line of their own."""
    typed = {column.physical_name for column in source.columns if column.definition.logicalType != "string"}
    due = [item for item in planted if item.refusable]
    for kind in (*KINDS, *dict.fromkeys(_NAMED.values()), _TYPE):
        mine = [item for item in due if kind in (item.kind, *_lines(item, typed))]
        hit = [number for number, row in enumerate(rows) if kind in row.kinds | row.lines]
        told = {id(item) for number in hit for item in found[number]}
        right = sum(any(kind in _causes(item, typed) for item in found[number]) for number in hit)
        if mine or hit:
            yield Score(kind, len(mine), sum(id(item) in told for item in mine), len(hit), right)


def _lines(item: Planted, typed: Collection[str]) -> Iterator[str]:
    """The lines besides the one of its kind in which a mistake is to be found. `typed`: columns that are no texts."""
    if item.defect in _NAMED:
        yield _NAMED[item.defect]
    elif item.kind == "format" and item.column in typed:
        yield _TYPE


def _causes(item: Planted, typed: Collection[str]) -> set[str]:
    """The lines that a mistake may rightly show in."""
    kinds = {item.kind, *item.also}
    return kinds | {*_lines(item, typed)} | {line for line, kind in _MAY_SHOW.items() if kind in kinds}


def _mended(entries: Sequence[tuple[Planted, Any, Any]]) -> Iterator[Score]:
    if entries:
        yield Score(CLEANABLE, len(entries), sum(found == true for _, found, true in entries))


def _parted(source: SourceContract, lake: Lake, planted: Sequence[Planted]) -> Iterator[Score]:
    """Numbers on several people that a register still has, against those whose bearers are told apart."""
    form = source.form.linkage
    if form is None or not form.registers or tables.missing(lake):
        return
    read = delta.scan(delta.open_table(lake.core(source.org, source.dataset)))
    key, number = row_key(source.form.load.key), identifier(form.id_number)
    with duckdb.connect() as con:
        told = con.execute(
            f"SELECT DISTINCT arg_max({number}, _batch) FROM (SELECT *, {key} AS row_key FROM {read.source}) "
            f"SEMI JOIN (FROM {tables.read(lake, tables.LINK)} WHERE dataset = ? AND why = ?) USING (row_key) "
            "GROUP BY row_key",
            [source.id, bearers.SHARED],
        ).fetchall()
    found, due = {one for (one,) in told}, [item for item in planted if item.kind == SHARED and item.ended is None]
    if due or found:
        right = sum(one in {item.shown for item in due} for one in found)
        yield Score(SHARED, len(due), sum(item.shown in found for item in due), len(found), right)


class _Causes:
    """The planted mistakes of a source by the row that shows them: its key is that of the record, as delivered."""

    def __init__(self, source: SourceContract, planted: Sequence[Planted]) -> None:
        self._keys = _key_columns(source)
        self._planted = planted
        self._by_key: dict[tuple[str, ...], list[Planted]] = defaultdict(list)
        for item in planted:
            parts = zip(self._keys, item.rybh.split(" "), strict=True)
            shown = tuple(_text(item.shown if name == item.column else clean) for name, clean in parts)
            self._by_key[shown].append(item)

    def of(self, row: Refused) -> list[Planted]:
        """The mistakes planted in a refused row; of one that could not be read its beginning tells the record."""
        unread = row.delivered.get(UNREAD)
        if unread is not None:
            text = str(unread)
            return [item for item in self._planted if text == item.shown or text.startswith(item.rybh)]
        return self._by_key.get(tuple(_text(row.delivered.get(name)) for name in self._keys), [])


def _refused(source: SourceContract, lake: Lake) -> list[Refused]:
    """The rows of quarantine, of all batches."""
    read = delta.scan(delta.open_table(lake.quarantine(source.org, source.dataset)))
    known = {rule.id: rule.about.kind.value for rule in source.rules} | dict.fromkeys((DUPLICATE, CHANGED), "duplicate")
    histories = {rule.id for rule in source.rules if rule.about.scope == "history"}
    rows = duckdb.sql(f"SELECT rules, delivered FROM {read.source}").fetchall()
    found = []
    for text, delivered in rows:
        row, rules = json.loads(delivered), set(text.split(","))
        # `<column>.type` and `row.unreadable` are no rules of the contract
        kinds = frozenset(known.get(rule, "format") for rule in rules)
        if _is_undecodable(row):
            found.append(Refused(row, frozenset({"encoding"})))
        elif row.get(UNREAD) is not None:
            found.append(Refused(row, kinds, frozenset({_TORN})))
        else:
            found.append(Refused(row, kinds, frozenset(_shown(row, rules, histories))))
    return found


def _shown(row: Mapping[str, Any], rules: Collection[str], histories: AbstractSet[str]) -> Iterator[str]:
    """The lines that a row which could be read shows by itself, or by the rules that refused it."""
    if any(_AS_NUMBER.fullmatch(str(value)) for value in row.values()):
        yield _EXCEL
    if any(rule.endswith(".type") for rule in rules):
        yield _TYPE
    if not histories.isdisjoint(rules):
        yield _HISTORY


def _is_undecodable(row: Mapping[str, Any]) -> bool:
    """Whether a row is one that was kept whole because its bytes are no text, with signs in their place."""
    unread = str(row.get(UNREAD) or "")
    return "\ufffd" in unread or "\\x" in unread


def _cleaned(
    source: SourceContract, contracts: Contracts, lake: Lake, planted: Sequence[Planted]
) -> list[tuple[Planted, Any, Any]]:
    """Each planted value that cleaning was to mend and nobody has corrected since, with the value in core and the true
    one.

    Of a log of changes core writes the last change of each key only: earlier ones are not compared. Of all else a value
    that is not in core at all counts as not mended.
    """
    due = [item for item in planted if item.kind == CLEANABLE and item.ended is None]
    columns = {column.physical_name: column for column in source.columns}
    keys = [columns[name] for name in _key_columns(source)]
    compared = []
    for name in sorted({item.column for item in due} & columns.keys()):
        column = columns[name]
        asked = [(_key(item.rybh, keys, contracts), item) for item in due if item.column == name]
        found = _core(source, lake, keys, [column], {key for key, _ in asked}, "_op <> 'D'")
        values = {row[:-1]: row[-1] for row in found}
        for key, item in asked:
            if key in values:
                compared.append((item, values[key], _parsed(column, item.true, contracts)))
            elif not isinstance(source.form.load, ChangeLog):
                compared.append((item, "not in core", _parsed(column, item.true, contracts)))
    return compared


def _arrivals(
    source: SourceContract, contracts: Contracts, lake: Lake, planted: Sequence[Planted], rows: Sequence[Refused]
) -> Iterator[Score]:
    """Rows with which nothing is wrong but that are easily lost: late ones, ones with line breaks in a column that is
    not taken, and ones that their department has corrected.

    Not of logs of changes, of which core writes the last change of each key only.
    """
    load, columns = source.form.load, {column.physical_name: column for column in source.columns}
    if isinstance(load, ChangeLog):
        return
    late = [item for item in planted if item.kind == LATE]
    broken = [item for item in planted if item.defect == LINE_BREAK and item.column not in columns]
    again = {(item.rybh, item.day) for item in planted}  # corrected and spoilt once more
    dated = isinstance(load, WholeTable) and load.newest
    mended = [item for item in planted if item.refusable and item.ended and (item.rybh, item.ended) not in again]
    if not (late or broken or (dated and mended)):
        return
    core = _Newest(source, contracts, lake, {item.rybh for item in (*late, *broken, *mended)})
    names = _key_columns(source)
    refused = {tuple(_text(row.delivered.get(name)) for name in names) for row in rows}
    if late:
        found = sum(core.has(item.rybh, item.shown) or tuple(item.rybh.split(" ")) in refused for item in late)
        yield Score(LATE, len(late), found)
    if broken:
        yield Score(LINE_BREAK, len(broken), sum(core.has(item.rybh) for item in broken))
    if dated and mended:
        yield Score(CORRECTED, len(mended), sum(core.has(item.rybh, f"{item.ended} 00:00:00") for item in mended))


class _Newest:
    """Which of the records asked for core ever accepted, each with the newest moment it carried."""

    def __init__(self, source: SourceContract, contracts: Contracts, lake: Lake, asked: Collection[str]) -> None:
        by_physical = {column.physical_name: column for column in source.columns}
        self._contracts = contracts
        self._keys = [by_physical[name] for name in _key_columns(source)]
        order = newest(source.form.load)
        self._order = next((column for column in source.columns if order and column.name == order[0]), None)
        self._moments: dict[tuple[Any, ...], Any] = {}
        keys = {_key(number, self._keys, contracts) for number in asked}
        for row in _core(source, lake, self._keys, [self._order] if self._order else [], keys, "true"):
            key, moment = row[: len(self._keys)], row[len(self._keys) :]
            self._moments[key] = max(self._moments.get(key, moment), moment)

    def has(self, number: str, since: str | None = None) -> bool:
        """Whether a record came, and with a moment not before `since`."""
        moment = self._moments.get(_key(number, self._keys, self._contracts))
        if moment is None or since is None or self._order is None:
            return moment is not None
        return bool(moment[0] >= _parsed(self._order, since, self._contracts))


def _core(
    source: SourceContract,
    lake: Lake,
    keys: Sequence[Column],
    columns: Sequence[Column],
    asked: Collection[tuple[Any, ...]],
    where: str,
) -> list[tuple[Any, ...]]:
    """Keys and columns of the rows of core that have one of the keys asked for: a city's are far more than its dirt."""
    read = delta.scan(delta.open_table(lake.core(source.org, source.dataset)))
    listed = ", ".join(f"core.{identifier(one.name)}" for one in [*keys, *columns])
    same = " AND ".join(f"core.{identifier(one.name)} = asked.{identifier(one.name)}" for one in keys)
    wanted = pa.table({one.name: [key[place] for key in asked] for place, one in enumerate(keys)})
    with duckdb.connect() as con:
        con.register("asked", wanted)
        query = f"SELECT {listed} FROM {read.source} core SEMI JOIN asked ON {same} WHERE {where} ORDER BY core._batch"
        return con.execute(query).fetchall()


def _key(number: str, keys: Sequence[Column], contracts: Contracts) -> tuple[Any, ...]:
    """The key of a record as core holds it."""
    return tuple(_parsed(one, part, contracts) for one, part in zip(keys, number.split(" "), strict=True))


def _parsed(column: Column, value: str | None, contracts: Contracts) -> Any:
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


def _key_columns(source: SourceContract) -> list[str]:
    """The physical columns by which the simulator numbers records: those of changes are numbered by their order."""
    load = source.form.load
    key = [load.order] if isinstance(load, ChangeLog) else load.key
    physical = {column.name: column.physical_name for column in source.columns}
    return [physical[name] for name in key]


def _text(value: Any) -> str:
    return "" if value is None else str(value)
