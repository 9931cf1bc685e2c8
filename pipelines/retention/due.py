"""What is due: data whose contract's period is over, by dataset and layer (decision 0036). Reads only.

The period of a source is counted

- for raw batches from the day they were received; one that repeats others from that of the oldest of them,
- for refused rows from the day they were refused,
- for rows of core from the day they ended: a newer row of their key came, or their key was deleted. A row that is valid
  never falls due by time alone; an event (load `append`) does, counted from its own time where the contract's cursor is
  one, otherwise from the day it was admitted.

The period of a model is counted for its versions and those of its products from the day another one took their place,
and for the changes of a history from the day they were known and true.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.admission.answers import Answer, Answers
from pipelines.codecs.sql import identifier, literal
from pipelines.contracts.forms.sources import Append, WholeTable
from pipelines.contracts.load import Contracts, Product, ProductContract, SourceContract
from pipelines.contracts.rules import counts_rows
from pipelines.engine import connect
from pipelines.erasure.products import in_product
from pipelines.lake import delta
from pipelines.lake.cleanup import unneeded
from pipelines.lake.edition import row_key
from pipelines.lake.parquet import columns_of, files_of, read_files
from pipelines.lake.rewrite import Change, Planned
from pipelines.linkage import tables
from pipelines.messages import CitylakeError
from pipelines.register import Register
from pipelines.register.receipts import REPLAY, RETURNED, Receipt, Receipts, Stage
from pipelines.register.times import as_utc
from pipelines.release.ledger import RELEASE, WITHDRAWAL, Ledger, Recorded
from pipelines.release.publish import files_folder
from pipelines.retention import holds
from pipelines.retention.period import due_on, horizon
from pipelines.settings import Settings

Layer = Literal["raw", "core", "quarantine", "released", "history"]
NO_BATCH = -1
NO_HOLD = 0
"""Instead of a hold's number where a steward is waited for: the terms are new."""
KNOWN_AT = "_known_at"


@dataclass(frozen=True)
class Due:
    """What of a dataset is due in a layer. `dataset`: a source, or a model (`released`: with its products). `files` are
    those that go or are rewritten, `bytes` their size, `rows` the rows in them that go. `since`: the day on which the
    first of it fell due; `held`: the number of the hold that keeps it."""

    dataset: str
    layer: Layer
    retention: str
    rows: int
    files: int
    bytes: int
    since: date
    held: int | None = None


@dataclass
class Found:
    """What is due and not held, to be carried out. `batches`: by source those whose raw goes; `versions`: by subject
    those that end; `keys`: by source the keys of which no row is left; `horizons`: by dataset the newest day that is
    due there; `unfound`: by history why no change of it goes, though some are due."""

    due: list[Due] = field(default_factory=list)
    planned: list[Planned] = field(default_factory=list)
    dropped: list[Path] = field(default_factory=list)
    batches: dict[str, list[int]] = field(default_factory=dict)
    versions: dict[str, list[int]] = field(default_factory=dict)
    keys: dict[str, list[str]] = field(default_factory=dict)
    horizons: dict[str, str] = field(default_factory=dict)
    unfound: dict[str, CitylakeError] = field(default_factory=dict)

    @property
    def carried(self) -> list[Due]:
        """What is due and not held."""
        return [one for one in self.due if one.held is None]


class Search:
    """Finds what is due in one home, as receipts and ledger are when it first looks."""

    def __init__(self, settings: Settings, contracts: Contracts, register: Register) -> None:
        self.settings, self.contracts, self.lake = settings, contracts, settings.lake
        self.ledger, self.receipts = Ledger(register), Receipts(register, "retention")
        self.zone = ZoneInfo(contracts.city.timezone)

    def due(self, today: date, left: Collection[str] = ()) -> Found:
        """Everything that is due on a day of the city. What is `left` counts as held, by no hold."""
        found = Found()
        held = dict.fromkeys(left, NO_HOLD) | {hold.dataset: hold.number for hold in holds.in_force(self.ledger, today)}
        with connect(self.lake.scratch()) as con:
            for name, source in self.contracts.sources.items():
                period = source.form.slaProperties.retention
                if (until := horizon(today, period)) is not None:
                    self._of_source(con, found, source, until, held.get(name))
            if found.keys:
                self._beside_core(con, found)
            for name, model in self.contracts.models.items():
                period = model.form.slaProperties.retention
                if (until := horizon(today, period)) is not None:
                    self._of_model(con, found, model, until, held.get(name))
        return found

    def _of_source(
        self, con: duckdb.DuckDBPyConnection, found: Found, source: SourceContract, until: date, held: int | None
    ) -> None:
        period = source.form.slaProperties.retention
        batches = list(self._raw(source, until))
        dropped = [path for pull in batches for path in _files_below(self._folder(source, pull))]
        core, core_since = self._core(con, source, until)
        refused, refused_since = self._quarantine(con, source, until)
        due: list[Due] = []
        if batches:
            rows = sum(pull.body["rows"] for pull in batches)
            due.append(_due(source.id, "raw", period, dropped, rows, min(map(self._start, batches)), held))
        due += _rewritten(source.id, "core", period, core, core_since, held)
        due += _rewritten(source.id, "quarantine", period, refused, refused_since, held)
        found.due += due
        if held is not None or not due:
            return
        found.dropped += dropped
        found.planned += [*core, *refused]
        found.horizons[source.id] = until.isoformat()
        if batches:
            found.batches[source.id] = [pull.batch or 0 for pull in batches]
        if core:
            keys = con.execute("SELECT DISTINCT key FROM ending WHERE whole ORDER BY key").fetchall()
            found.keys |= {source.id: [key for (key,) in keys]} if keys else {}

    def _folder(self, source: SourceContract, pull: Receipt) -> Path:
        return self.lake.raw(source.org, source.dataset) / str(pull.batch)

    def _raw(self, source: SourceContract, until: date) -> Iterator[Receipt]:
        """The batches whose raw rows are due. One that still waits for its admission is not (of a whole table one that
        no later delivery overtook), nor is what a table delivered last and its replays: it is what is valid. Nor are
        corrections of a table that stand."""
        last = self._last(source)
        waiting = {
            pull.batch
            for pull in self.receipts.unsettled(source.id)
            if (pull.batch or 0) > (last or 0) or str(pull.body["origin"]).startswith(RETURNED)
        }
        pulls = self.receipts.pulls(source.id)
        valid = {one.batch for one in self._answers(source)} | {last}
        valid |= {pull.batch for pull in pulls if pull.body["origin"] == f"{REPLAY}{last}"}
        for pull in pulls:
            if pull.batch not in waiting | valid and self._start(pull) <= until and self._folder(source, pull).is_dir():
                yield pull

    def _start(self, pull: Receipt) -> date:
        """The day from which a raw batch counts."""
        days = [self._date(pull.at)]
        if (origin := str(pull.body["origin"])).startswith(REPLAY):
            batches = map(int, origin.removeprefix(REPLAY).split(","))
            repeated = (self.receipts.last(Stage.PULL, pull.subject, batch) for batch in batches)
            days += [self._date(one.at) for one in repeated if one is not None]
        return min(days)

    def _last(self, source: SourceContract) -> int | None:
        """The batch that says what is valid now, of a source that delivers whole tables."""
        if not isinstance(source.form.load, WholeTable):
            return None
        return next((one.batch for one in self.receipts.deliveries_admitted(source.id, 1)), None)

    def _answers(self, source: SourceContract) -> tuple[Answer, ...]:
        """The corrections of a whole table that stand."""
        return Answers.read(self.receipts, source, NO_BATCH).standing

    def _core(
        self, con: duckdb.DuckDBPyConnection, source: SourceContract, until: date
    ) -> tuple[list[Planned], date | None]:
        """The rows of a source that ended long enough ago; leaves table `ending` (filename, place, key, whole)."""
        location, load = self.lake.core(source.org, source.dataset), source.form.load
        event = self._event(source)
        if not self._may_be_due(location, until, KNOWN_AT, *([event] if event else [])):
            return [], None
        # by the key that core was written with: another one in the contract is refused at the next admission
        last = self.receipts.last(Stage.ADMIT, source.id)
        key = last.body["key"] if last else load.key
        files = files_of(location)
        known = columns_of(con, files)
        still = "CAST(NULL AS DATE)"
        if isinstance(load, Append):
            told = [self._day(event, known[event])] if event in known else []
            still = f"coalesce({', '.join([*told, self._day(KNOWN_AT)])})"
        rows = (
            f"SELECT filename, file_row_number AS place, {row_key(key)} AS key, _batch, _op, {KNOWN_AT}, "
            f"{still} AS still FROM {read_files(files)}"
        )
        order = "PARTITION BY key ORDER BY _batch"
        # clocks may be set back: a row never ends before the one that it replaced
        newest = f"max({KNOWN_AT}) OVER ({order} ROWS BETWEEN UNBOUNDED PRECEDING AND 1 FOLLOWING)"
        con.execute(
            f"CREATE OR REPLACE TEMP TABLE ending AS SELECT * FROM (SELECT filename, place, key, ended, "
            f"bool_and(coalesce(ended <= DATE '{until}', false)) OVER (PARTITION BY key) AS whole FROM ("
            f"SELECT filename, place, key, "
            f"CASE WHEN replaced OR _op = 'D' THEN {self._day('newest')} ELSE still END AS ended "
            f"FROM (SELECT *, {newest} AS newest, lead(_batch) OVER ({order}) IS NOT NULL AS replaced FROM ({rows})))) "
            f"WHERE ended <= DATE '{until}'"
        )
        return _planned(con, f"core/{source.id}", location, "ending")

    def _event(self, source: SourceContract) -> str | None:
        """The column with the time of an event, of a source that appends them and asks by it."""
        load = source.form.load
        cursor = load.cursor if isinstance(load, Append) else None
        first = cursor[0] if isinstance(cursor, list) else cursor
        kinds = {column.name: column.definition.logicalType for column in source.columns}
        return first if first and kinds.get(first) in ("date", "timestamp") else None

    def _quarantine(
        self, con: duckdb.DuckDBPyConnection, source: SourceContract, until: date
    ) -> tuple[list[Planned], date | None]:
        """The rows that were refused long enough ago, but those that say what is valid in a whole table."""
        location = self.lake.quarantine(source.org, source.dataset)
        if not self._may_be_due(location, until, KNOWN_AT):
            return [], None
        answers = self._answers(source)
        valid = {(one.batch, one.row) for one in answers} | {(one.of_batch, one.of_row) for one in answers}
        standing = ", ".join(map(str, sorted(valid))) or f"({NO_BATCH}, 0)"
        last = self._last(source) or NO_BATCH
        con.execute(
            f"CREATE OR REPLACE TEMP TABLE refused AS SELECT filename, file_row_number AS place, "
            f"{self._day(KNOWN_AT)} AS ended FROM {read_files(files_of(location))} WHERE ended <= DATE '{until}' "
            f"AND (_batch, _row) NOT IN ({standing}) AND _batch <> {last}"
        )
        return _planned(con, f"quarantine/{source.id}", location, "refused")

    def _may_be_due(self, location: Path, until: date, *columns: str) -> bool:
        """Whether anything in a table can be due, by the statistics of its files: mostly nothing is, and nothing is
        read then."""
        if delta.latest(location) is None or not files_of(location):
            return False
        table = delta.open_table(location)
        lowest = [delta.lowest(table, name) for name in columns if name in delta.column_types(table.schema())]
        return any(value is None or self._date(value) <= until for value in lowest)

    def _beside_core(self, con: duckdb.DuckDBPyConnection, found: Found) -> None:
        """What was found out about rows that go for good goes with them: who they are about, and where."""
        sources = [source for source, keys in found.keys.items() for _ in keys]
        keys = [key for keys in found.keys.values() for key in keys]
        con.register(
            "gone_key", pa.table({"dataset": pa.array(sources, pa.string()), "key": pa.array(keys, pa.string())})
        )
        places = [(f"linkage/{tables.LINK}", self.lake.linkage(tables.LINK), "dataset", "row_key")]
        for name in self.lake.matched_tables():
            places.append((f"matched/{name}", self.lake.matched(name), "source_dataset", "source_key"))
        for place, location, dataset, key in places:
            files = files_of(location)
            if files and {dataset, key} <= columns_of(con, files).keys():
                con.execute(
                    f"CREATE OR REPLACE TEMP TABLE beside AS SELECT filename, file_row_number AS place, "
                    f"NULL::DATE AS ended FROM {read_files(files)} f JOIN gone_key g "
                    f"ON f.{dataset} = g.dataset AND f.{key} = g.key"
                )
                found.planned += _planned(con, place, location, "beside")[0]

    def _of_model(
        self, con: duckdb.DuckDBPyConnection, found: Found, model: ProductContract, until: date, held: int | None
    ) -> None:
        period, name = model.form.slaProperties.retention, model.form.model
        ended = {subject: self._ended(subject, until) for subject in (name, *(one.id for one in model.products))}
        needed = self._needed(model, ended)
        ended[name] = {version: day for version, day in ended[name].items() if version not in needed}
        dropped: list[Path] = []
        for subject, versions in ended.items():
            if versions:
                dropped += unneeded(self.lake.subject(subject), self._kept(subject) - versions.keys())
                dropped += self._downloads(subject, versions)
        if days := [day for versions in ended.values() for day in versions.values()]:
            rows = sum(pq.read_metadata(path).num_rows for path in dropped if path.suffix == ".parquet")
            found.due.append(_due(name, "released", period, dropped, rows, min(days), held))
        try:
            changes, since = self._history(con, model, until, {*dropped} if held is None else set())
        except CitylakeError as error:  # of one history; nobody can prove that its rows are gone, so none goes
            found.unfound[name] = error
            changes, since = [], None
        found.due += _rewritten(name, "history", period, [one for one in changes if one.place == name], since, held)
        if held is not None:
            return
        found.dropped += dropped
        found.planned += changes
        found.versions |= {subject: sorted(versions) for subject, versions in ended.items() if versions}
        if days or changes:
            found.horizons[name] = until.isoformat()

    def _ended(self, subject: str, until: date) -> dict[int, date]:
        """The versions of a subject in whose place others stood long enough ago, with the day on which they came. The
        newest version of a table stays, whatever became of it: the next one is made from it."""
        moves, done = self._moves.get(subject, []), self._done.get(subject, {})
        followed = {one.version: self._date(then.at) for one, then in pairwise(moves) if one.kind == RELEASE}
        stays = {moves[-1].version if moves else None, delta.latest(self.lake.subject(subject))}
        return {
            version: day
            for version, day in followed.items()
            if version is not None and day <= until and version not in stays and version not in done
        }

    def _kept(self, subject: str) -> set[int]:
        """The versions of a subject that are not ended yet."""
        released = {
            one.version for one in self._moves.get(subject, ()) if one.kind == RELEASE and one.version is not None
        }
        return released - self._done.get(subject, {}).keys()

    def _needed(self, model: ProductContract, ended: Mapping[str, Collection[int]]) -> set[int]:
        """The versions of a model that something else which stays was made from, or is compared with."""
        published, name = self._published, model.form.model
        needed = {
            entry.body["model_version"]
            for product in model.products
            for entry in self._moves.get(product.id, ())
            if entry.kind == RELEASE
            and entry.version not in ended[product.id]
            and entry.version not in self._done.get(product.id, ())
        }
        for reader, contract in self.contracts.models.items():
            counted = (rule.arguments["model"] for rule in contract.rules if rule.verb == counts_rows.__name__)
            if reader in published and name in {reader.removesuffix(HISTORY), *counted} - {reader}:
                beside = self.ledger.release_beside(name, published[reader])
                needed |= {beside.version} if beside else set()
        return needed

    def _downloads(self, subject: str, versions: Collection[int]) -> Iterator[Path]:
        product: Product | None = self.contracts.products.get(subject)
        for version in versions if product else ():
            assert product is not None
            yield from sorted(files_folder(self.lake, product, version).glob("*"))

    def _history(
        self, con: duckdb.DuckDBPyConnection, model: ProductContract, until: date, going: Collection[Path]
    ) -> tuple[list[Planned], date | None]:
        """The changes in a history that were known and true long enough ago, in all of its versions and products. Of a
        cell never one that is later known than one which stays: what was known on a later day stays what it was. Raises
        CitylakeError if a product does not have all of them."""
        name = model.form.model
        location = self.lake.subject(name)
        subject = name.removesuffix(HISTORY)
        if subject not in self.contracts.models or subject == name or not self._may_be_due(location, until, "known_on"):
            return [], None
        files = [file for file in files_of(location) if file not in going]
        cell = ", ".join(identifier(column) for column in model.form.key if column != "known_in")
        con.execute(
            f"CREATE OR REPLACE TEMP TABLE told AS SELECT filename, file_row_number AS place, "
            f"max(greatest(known_on, holds_from)) OVER (PARTITION BY {cell} ORDER BY known_in) AS ended "
            f"FROM {read_files(files)} QUALIFY ended <= DATE '{until}'"
        )
        changes, since = _planned(con, name, location, "told")
        planned = list(changes)
        for product in model.products if changes else ():
            kept, moves = self._kept(product.id), self._moves.get(product.id, ())
            versions = [one for one in moves if one.kind == RELEASE and one.version in kept]
            found = in_product(con, self.lake, self.settings.kept_key, product, versions, changes)
            planned += [one for one in found if one.file not in going]
        return planned, since

    @cached_property
    def _moves(self) -> dict[str, list[Recorded]]:
        """Releases and withdrawals of every subject, in order."""
        found: dict[str, list[Recorded]] = {}
        for entry in self.ledger.of_kind(RELEASE, WITHDRAWAL):
            found.setdefault(entry.subject, []).append(entry)
        return found

    @cached_property
    def _done(self) -> dict[str, dict[int, Recorded]]:
        return self.ledger.ended_versions()

    @cached_property
    def _published(self) -> dict[str, Recorded]:
        return self.ledger.published()

    def _date(self, moment: Any) -> date:
        """The day of the city of a moment, in UTC if it does not say so; a day is itself."""
        if isinstance(moment, datetime):
            return as_utc(moment).astimezone(self.zone).date()
        assert isinstance(moment, date)
        return moment

    def _day(self, name: str, kind: str = "TIMESTAMP WITH TIME ZONE") -> str:
        """SQL of the day of the city that a column tells."""
        column = identifier(name)
        return column if kind == "DATE" else f"CAST(timezone({literal(self.zone.key)}, {column}) AS DATE)"


HISTORY = "_history"
"""How the model ends that keeps the history of another."""


def _planned(
    con: duckdb.DuckDBPyConnection, place: str, location: Path, table: str
) -> tuple[list[Planned], date | None]:
    """The changes of a table's files by which rows at the places of another table go, and its earliest day `ended`."""
    rows = con.execute(f"SELECT filename, list(place ORDER BY place) FROM {table} GROUP BY filename ORDER BY filename")
    changes = [Planned(place, Path(file), Change(places), location) for file, places in rows.fetchall()]
    (since,) = con.execute(f"SELECT min(ended) FROM {table}").fetchone() or (None,)
    return changes, since


def _due(
    dataset: str, layer: Layer, period: str, files: Collection[Path], rows: int, start: date, held: int | None
) -> Due:
    since = due_on(start, period)
    assert since is not None  # what is counted from `start` is due
    size = sum(path.stat().st_size for path in files)
    return Due(dataset, layer, period, rows, len(files), size, since, held)


def _rewritten(
    dataset: str, layer: Layer, period: str, changes: Sequence[Planned], start: date | None, held: int | None
) -> Iterator[Due]:
    """The line of rows that go from files which stay."""
    if changes and start is not None:
        rows = sum(len(one.change.gone) for one in changes)
        yield _due(dataset, layer, period, [one.file for one in changes], rows, start, held)


def _files_below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())
