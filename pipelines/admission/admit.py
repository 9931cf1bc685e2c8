"""Admitting one batch: judged rows become changes in core and rows in quarantine; received = accepted + refused.

What a row changes, by the load mode of its contract, is in `changes`.

Replaying a batch after a kill changes nothing: each commit carries the batch number as its Delta transaction. A batch
that looks half-delivered, or whose drift the contract says must stop it, is held, and nothing of it is applied until
the steward decides.
"""

import json
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from duckdb.func import FunctionNullHandling, PythonUDFType

from pipelines.admission import hashes, screen, volumes
from pipelines.admission.answers import Answers, raw_texts
from pipelines.admission.changes import Changes, CorrectedTable, ReturnedTable, TableChanges, changes_of
from pipelines.admission.compile import DIRTY, ROW, TYPES, Admission, compile_contract, raw_rows
from pipelines.admission.corrections import Counts, counted, outlived
from pipelines.admission.drift import HOLD, Drift, compare, repeated
from pipelines.admission.profile import Profile, profile
from pipelines.admission.receive import Delivery
from pipelines.admission.replays import Origins, taken_again
from pipelines.admission.taken import newer_file
from pipelines.admission.takeover import Told, takeover
from pipelines.codecs.derive import derivations
from pipelines.codecs.sql import identifier, literal
from pipelines.connectors.base import connectors
from pipelines.contracts.forms.sources import Append, ChangeLog, SnapshotDiff, WholeTable, newest
from pipelines.contracts.load import Contracts, Derived, SourceContract
from pipelines.engine import ADMISSION_MEMORY, connect
from pipelines.geo import judging
from pipelines.issues import Finding
from pipelines.lake import delta
from pipelines.lake.columns import query_schema
from pipelines.lake.edition import CONTROL, current_state
from pipelines.lake.parquet import PASSING, WrittenFile, copy_rows, write_file
from pipelines.lake.zones import Lake
from pipelines.messages import CitylakeError
from pipelines.register.receipts import REPLAY, RETURNED, Receipts, Stage

APPLICATION = "citylake.admission"
_ADMITTED = "admitted"
_TOGETHER = 500_000
"""How many refused rows are written by one statement."""


@dataclass(frozen=True)
class Admitted:
    """What became of a batch. `held` lists the guards that stopped it (message code -> arguments); then nothing else
    was counted as applied. `by_rule` counts refused rows per rule; a row may fail several. Of the accepted rows of an
    incremental load `superseded` have a later version in the same batch and `repeated` say nothing new.
    `profile`: how the columns looked, for the next batch, and how many rows were left out as no data; `drift`:
    findings, also about ties; `corrections`: how each fared; `ended`: batch and row of every returned row of a whole
    table that stands no longer (see `answers`); `since`: columns that core got later, with the batch that brought them.
    """

    batch: int
    received: int
    accepted: int
    refused: int
    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    core_version: int | None = None
    by_rule: dict[str, int] = field(default_factory=dict)
    held: dict[str, dict[str, Any]] = field(default_factory=dict)
    contract: str = ""
    key: list[str] = field(default_factory=list)
    seconds: float = 0.0
    superseded: int = 0
    repeated: int = 0
    profile: dict[str, Any] = field(default_factory=dict)
    drift: list[dict[str, Any]] = field(default_factory=list)
    corrections: Counts = field(default_factory=dict)
    ended: list[list[int]] = field(default_factory=list)
    since: dict[str, int] = field(default_factory=dict)

    @property
    def counts(self) -> dict[str, int]:
        """How many rows it had, and what became of them."""
        names = ("received", "accepted", "refused", "inserted", "updated", "deleted", "repeated")
        return {name: getattr(self, name) for name in names}

    @property
    def findings(self) -> list[Finding]:
        """What the batch showed about its source: drift and corrections that no longer fit."""
        return [Finding(**found) for found in self.drift]


@dataclass(frozen=True)
class Before:
    """What a batch is compared with: the receipt of the last admitted delivery, and when some more were admitted and
    their rows, newest first. `same`: the batch repeats or corrects rows of others, which tells nothing new about the
    source; `returned`: it corrects. `corrections`: what the last batch of any kind said of those of the contract;
    `answers`: the rows of a whole table that came back; `missed`: pulls that failed since, whose rows may come now;
    `origins`: of a replay of changes, where its rows and those of core come from; `newer`: of a whole table the file
    that was admitted before and is newer by its name; `since`: columns that core got later, with their batch;
    `core_version`: that of core after the last batch of any kind."""

    last: Admitted | None = None
    history: tuple[tuple[datetime, int], ...] = ()
    same: bool = False
    returned: bool = False
    corrections: Counts = field(default_factory=dict)
    answers: Answers = field(default_factory=Answers)
    missed: int = 0
    origins: Origins = field(default_factory=Origins)
    newer: str = ""
    since: Mapping[str, int] = field(default_factory=dict)
    core_version: int | None = None

    @classmethod
    def read(cls, receipts: Receipts, contract: SourceContract, batch: int) -> "Before":
        """From the receipts of a source."""
        admitted = receipts.deliveries_admitted(contract.id, 1)
        pull = receipts.last(Stage.PULL, contract.id, batch)
        last = Admitted(**admitted[0].body) if admitted else None
        history = tuple(receipts.volumes(contract.id, volumes.LOOKED))
        newest = receipts.last(Stage.ADMIT, contract.id)
        corrections, since = ((newest.body.get(name, {}) if newest else {}) for name in ("corrections", "since"))
        origin = str(pull.body["origin"]) if pull else ""
        same, returned = origin.startswith((REPLAY, RETURNED)), origin.startswith(RETURNED)
        whole = isinstance(contract.form.load, WholeTable)  # it brings nothing that one before would have
        failures = [] if whole else receipts.of_stage(Stage.FAILURE, contract.id, volumes.HISTORY)
        missed = sum(not admitted or failure.id > admitted[0].id for failure in failures)
        answers = Answers.read(receipts, contract, batch)
        origins = Origins() if whole else Origins.read(receipts, pull)
        newer = newer_file(contract, receipts, batch) if whole else ""
        version = newest.body["core_version"] if newest else None
        return cls(last, history, same, returned, corrections, answers, missed, origins, newer, since, version)


class Batch:
    """The admission of one delivery of one contract, on its own in-memory connection."""

    def __init__(
        self,
        contract: SourceContract,
        contracts: Contracts,
        lake: Lake,
        key: bytes,
        delivery: Delivery,
        today: date,
        known_at: str,
    ) -> None:
        self.contract, self.contracts, self.today = contract, contracts, today
        self.delivery = delivery
        self.lake = lake
        self.core = lake.core(contract.org, contract.dataset)
        self.quarantine = lake.quarantine(contract.org, contract.dataset)
        self.key = key
        self.known_at = known_at
        self.con = connect(lake.scratch(), ADMISSION_MEMORY, alone=True)
        self.closing = ExitStack()
        self.suspects = lake.scratch() / f"suspects-{uuid.uuid4().hex}.parquet"
        raw = self.con.execute(f"DESCRIBE SELECT * FROM read_parquet({literal(str(delivery.path))})").fetchall()
        self.raw: dict[str, str] = {name: kind for name, kind, *_ in raw}
        self.admission: Admission = self._compiled()
        self.judged = screen.Judged("")
        self.base = delta.latest(self.core)
        self.new_columns: Set[str] = frozenset()
        """Columns that the contract has and core had not after the batch before."""

    def _compiled(self, quarantined: Set[str] = frozenset()) -> Admission:
        return compile_contract(self.contract, self.contracts, self.today, self.raw, quarantined)

    def run(self, before: Before, confirmed: bool) -> Admitted:
        """Judge, guard, and apply unless held. Raises LakeError or OSError with nothing half-applied to be undone."""
        started = time.monotonic()
        with self.con, self.closing:
            if replayed := self._replayed():
                return replayed
            for number, item in enumerate(self.contract.derived):
                self._register_derivation(f"derive_{number}", item)
            if any(rule.about.scope == "shape" for rule in self.contract.rules):
                judging.register(self.con, self.contracts)
            self._register_log(before.core_version)
            drift = self._drift(before, confirmed)
            if drift.quarantined:
                self.admission = self._compiled(drift.quarantined)
            changes = self._changes(before)
            self._judge(changes.kept)
            self._register_current(changes)
            self._register_answers(changes, before.answers)
            before.origins.register(self.con)
            for statement in changes.statements():
                self.con.execute(statement)
            outcome = self._observed(self._counted(before, confirmed or before.returned), drift, before)
            outcome = replace(outcome, ended=self._ended(changes), since=self._since(before))
            outcome = replace(outcome, drift=[*outcome.drift, *self._ties(changes)])
            if outcome.held:
                self._take_back_refused()
                return outcome
            return self._apply(outcome, changes, started)

    def _judge(self, kept: str) -> None:
        """View `judged`, over a file: a table would take the memory that the joins need, and push them to disk."""
        file = self.lake.scratch() / f"judged-{uuid.uuid4().hex}.parquet"
        for made in (file, self.suspects):
            self.closing.callback(made.unlink, missing_ok=True)
        self.judged = screen.judged(self.con, self.admission, self.contracts, self.delivery.path, kept, self.suspects)
        write_file(self.con, self.judged.query, file, PASSING)
        self.con.execute(f"CREATE VIEW judged AS SELECT * FROM read_parquet({literal(str(file))})")

    def _drift(self, before: Before, confirmed: bool) -> Drift:
        """How this batch differs from the one before; what is replayed is not compared."""
        old = Profile.read(before.last.profile if before.last else {})
        if before.same:
            return repeated(self.contract, self.contracts.codes, old)
        new = profile(self.con, self.contract, self.contracts, self.delivery.path, self.lake.scratch())
        volume = volumes.of_today(self.delivery.rows, before.history, self.contracts.city, before.missed)
        return compare(self.contract, self.contracts.codes, old, new, volume, confirmed)

    def _observed(self, outcome: Admitted, drift: Drift, before: Before) -> Admitted:
        """The outcome with what the batch showed about its source, held also if that is to stop it."""
        whole = isinstance(self.contract.form.load, WholeTable) and not before.returned
        again = before.same and not before.returned
        counts = counted(self.con, self.contract, self.contracts, self.delivery.path, before.corrections, whole, again)
        found = [*drift.findings, *outlived(self.contract, counts)]
        return replace(
            outcome,
            held=outcome.held | ({HOLD: dict(drift.held)} if drift.held else {}),
            profile=drift.profile.stored() | ({"left_out": self.delivery.left_out} if self.delivery.left_out else {}),
            drift=[vars(finding) for finding in found],
            corrections=counts,
        )

    def _replayed(self) -> Admitted | None:
        """The outcome that a killed run committed to core but did not live to record."""
        if applied(self.core) != self.delivery.batch:
            return None  # the usual case, told from the table's state without reading its log back
        version = delta.transaction_commit(self.core, APPLICATION, self.delivery.batch)
        if version is None:
            return None
        recorded = json.loads(delta.commit_metadata(self.core, version)[_ADMITTED])
        return Admitted(**recorded | {"core_version": version})

    def _changes(self, before: Before) -> Changes:
        """The SQL from `judged` and `core_log` to what is written."""
        load, columns = self.contract.form.load, [column.name for column in self.contract.columns]
        again = bool(before.origins.own)
        recomputed = self._derived() if again or (isinstance(load, WholeTable) and self._contract_changed()) else {}
        judging = self.admission
        taken: type[Changes] | None = None
        if again:
            taken = taken_again(load)
        elif isinstance(load, WholeTable):
            answers = before.answers
            taken = ReturnedTable if answers.own else CorrectedTable if answers.standing else None
        placed = connectors[self.contract.connector.verb].about.placed
        since, good = self._since(before), judging.accepted
        return changes_of(load, columns, since, good, recomputed, judging.history, judging.watched, placed, taken)

    def _since(self, before: Before) -> dict[str, int]:
        """The columns that core had not from the beginning, with the batch that brought them."""
        return {**before.since} | dict.fromkeys(sorted(self.new_columns), self.delivery.batch)

    def _register_answers(self, changes: Changes, answers: Answers) -> None:
        """What the corrections of a whole table are laid beside: their tables, and view `raw`."""
        if isinstance(changes, CorrectedTable | ReturnedTable):
            answers.register(self.con, self.contract, self.contracts, self.quarantine)
            self.con.execute(f"CREATE VIEW raw AS {raw_texts(self.contract, self.raw, self.delivery.path)}")

    def _ties(self, changes: Changes) -> Iterator[dict[str, Any]]:
        """Findings about rows of one key of which nothing said which one was told last."""
        for code, query in changes.ties().items():
            if rows := self._number(query):
                about = {"columns": "、".join(newest(changes.load)), "rows": rows}
                yield vars(Finding(code, about, "warning", rows=rows))

    def _ended(self, changes: Changes) -> list[list[int]]:
        """The corrections that this delivery ends."""
        if not isinstance(changes, CorrectedTable):
            return []
        return [[batch, row] for batch, row in self.con.execute("SELECT batch, row FROM ended ORDER BY ALL").fetchall()]

    def _register_current(self, changes: Changes) -> None:
        """View `current`: the keys of core with their hashes, kept or computed; whole tables are compared with it."""
        if not isinstance(changes, TableChanges):
            return
        file = self._hashes(changes, self.base)
        if file is not None and file.is_file():
            query = f"SELECT * FROM read_parquet({literal(str(file))})"
        else:
            state = current_state("core_log", changes.load.key, self._columns(), self._first_batch(), '"')
            query = f"SELECT {changes.keys()}, {changes.stored_hash('')} FROM ({state})"
            self.con.execute(f"CREATE TABLE computed AS {query}")  # once, for it is asked several times
            query = "SELECT * FROM computed"
        self.con.execute(f"CREATE VIEW current AS {query}")

    def _hashes(self, changes: Changes, version: int | None) -> Path | None:
        """Where the hashes of a core version are kept; None if there is no version, or none that would fit: those of
        a contract whose derived columns are compared too are asked for once."""
        batch = applied(self.core)
        if version is None or batch is None or changes.derived:
            return None
        types = {column.name: TYPES[column.definition.logicalType] for column in self.contract.columns}
        layout = [*changes.load.key, *(f"{name} {types[name]}" for name in changes.compared)]
        folder = self.lake.hashes(self.contract.org, self.contract.dataset)
        return hashes.stored(folder, version, batch, layout)

    def _columns(self) -> list[str]:
        return [column.name for column in self.contract.all_columns]

    def _first_batch(self) -> int | None:
        """The lowest batch of the log."""
        first: int | None = (
            None if self.base is None else delta.lowest(delta.open_table(self.core, self.base), "_batch")
        )
        return first

    def _contract_changed(self) -> bool:
        return self.base is not None and self._contract_before() != self.contract.hash

    def _contract_before(self) -> str:
        """The contract by which the rows of core were made."""
        return "" if self.base is None else delta.commit_metadata(self.core, self.base).get("contract", "")

    def _derived(self) -> dict[str, str]:
        """The derived columns with their SQL; their functions are registered on the connection."""
        return {
            item.column.name: f"derive_{number}({identifier(item.step.arguments['of'])})"
            for number, item in enumerate(self.contract.derived)
        }

    def _register_log(self, admitted: int | None) -> None:
        """View `core_log`: the log before this batch, with this contract's columns. `admitted`: the version of core
        after the batch before; what a killed run added to that were columns for this one."""
        columns = {column.name: TYPES[column.definition.logicalType] for column in self.contract.all_columns}
        if self.base is None:
            control = "CAST(NULL AS VARCHAR) AS _op, CAST(NULL AS BIGINT) AS _batch, CAST(NULL AS BIGINT) AS _row"
            listed = ", ".join(f"CAST(NULL AS {kind}) AS {identifier(name)}" for name, kind in columns.items())
            nothing = "CAST(NULL AS TIMESTAMPTZ) AS _known_at"
            self.con.execute(f"CREATE VIEW core_log AS SELECT {listed}, {control}, {nothing} WHERE false")
            return
        table = delta.open_table(self.core, self.base)
        read = delta.scan(table)
        known = delta.column_types(table.schema()).keys()
        then = table if admitted in (None, self.base) else delta.open_table(self.core, admitted)
        self.new_columns = columns.keys() - delta.column_types(then.schema()).keys()
        listed = ", ".join(
            f"CAST({identifier(name) if name in known else 'NULL'} AS {kind}) AS {identifier(name)}"
            for name, kind in columns.items()
        )
        self.con.execute(
            f"CREATE VIEW core_log AS SELECT {listed}, {', '.join(CONTROL)} "
            f"FROM (SELECT {read.columns} FROM {read.source})"
        )

    def _counted(self, before: Before, confirmed: bool) -> Admitted:
        received = self._count("judged")
        good = self._number(f"SELECT count(*) FROM judged WHERE {self.admission.accepted}")
        late = self._number(
            f"SELECT count(*) FROM late_refused JOIN judged USING ({ROW}) WHERE {self.admission.accepted}"
        )
        accepted = good - late
        refused = self._number(f"SELECT count(*) FROM judged WHERE NOT ({self.admission.accepted})") + late
        if received != accepted + refused or received != self.delivery.rows:
            raise AssertionError(f"{self.contract.id}: {received} received, {accepted} accepted, {refused} refused")
        of_kind = dict(self.con.execute("SELECT _op, count(*) FROM changes GROUP BY _op").fetchall())
        counts = {
            "inserted": of_kind.get("I", 0),
            "updated": of_kind.get("U", 0),
            "deleted": of_kind.get("D", 0) + self._count("deleted"),
        }
        load = self.contract.form.load
        if not isinstance(load, WholeTable):
            if not isinstance(load, Append):
                counts["superseded"] = accepted - self._count("accepted")
            counts["repeated"] = accepted - counts.get("superseded", 0) - sum(of_kind.values())
        held = {} if confirmed else self._guards(received, before, counts["deleted"])
        return Admitted(
            batch=self.delivery.batch,
            received=received,
            accepted=accepted,
            refused=refused,
            by_rule=self._by_rule(),
            held=held,
            contract=self.contract.hash,
            key=list(self.contract.form.load.key),
            **counts,
        )

    def _guards(self, received: int, before: Before, deleted: int) -> dict[str, dict[str, Any]]:
        """What makes this delivery of a whole table look incomplete, or old (message code -> arguments)."""
        load, held = self.contract.form.load, dict[str, dict[str, Any]]()
        if not isinstance(load, WholeTable):
            return held
        previous = before.last.received if before.last else None
        if before.newer:
            held["admit.older_file"] = {"newest": before.newer}
        if previous and received < load.volumeFloor * previous:
            held["admit.volume_floor"] = {"received": received, "previous": previous, "floor": load.volumeFloor}
        current = self._count("current")
        if isinstance(load, SnapshotDiff) and current and deleted > load.deletionCeiling * current:
            held["admit.deletion_ceiling"] = {"deleted": deleted, "current": current, "ceiling": load.deletionCeiling}
        return held

    def _by_rule(self) -> dict[str, int]:
        sums = [
            f"count(*) FILTER (WHERE {self.admission.failed(index)})" for index in range(len(self.admission.judgements))
        ]
        refused = f"FROM judged WHERE NOT ({self.admission.accepted})"
        row = self.con.execute(f"SELECT {', '.join(sums)} {refused}").fetchone() or ()
        counts = {judgement.rule: n for judgement, n in zip(self.admission.judgements, row, strict=True) if n}
        late = self.con.execute("SELECT _rule, count(*) FROM late_refused GROUP BY _rule ORDER BY _rule").fetchall()
        return counts | dict(late)

    def _apply(self, outcome: Admitted, changes: Changes, started: float) -> Admitted:
        """Quarantine first, then core: the commit to core is what makes the batch admitted. The hashes come last: what
        a killed run did not keep is computed."""
        queries = self._refused_queries(outcome.refused)  # each has the whole row as text
        written = [file for one in queries for file in copy_rows(self.con, one, self.quarantine, long_rows=True)]
        self._commit(self.quarantine, queries[0], written, outcome.batch, {}, self._refused_before())
        seconds = round(time.monotonic() - started, 3)
        recorded = {"core_version": self.base, "seconds": seconds}
        outcome = Admitted(**{**vars(outcome), **recorded})
        changed = outcome.inserted + outcome.updated + outcome.deleted > 0
        if not changed and not self.new_columns and self.base is not None:
            return outcome
        metadata = {_ADMITTED: json.dumps(vars(outcome))}
        if isinstance(changes, ReturnedTable):  # the other rows are as they were: the next delivery is to see that
            metadata["contract"] = self._contract_before()
        version = self._commit(self.core, *self._write_core(changes), outcome.batch, metadata)
        self._keep_hashes(changes, version)
        return Admitted(**{**vars(outcome), "core_version": version})

    def _refused_before(self) -> list[str]:
        """The files of refused rows that a killed run wrote for this batch: it may have judged on another day, or by
        another contract."""
        if delta.committed(self.quarantine, APPLICATION) != self.delivery.batch:
            return []
        files = delta.table_files(delta.open_table(self.quarantine))
        mine = (file for file in files if file.stats["minValues"]["_batch"] == self.delivery.batch)
        return [str(self.quarantine / file.path) for file in mine]

    def _take_back_refused(self) -> None:
        """A held batch refused nothing yet: what a killed run wrote for it goes, nobody would be shown it."""
        if replaced := self._refused_before():
            self._commit(self.quarantine, self._refused_query("false"), [], self.delivery.batch, {}, replaced)

    def _keep_hashes(self, changes: Changes, version: int) -> None:
        if isinstance(changes, TableChanges) and (file := self._hashes(changes, version)):
            hashes.keep(self.con, changes.state(), file)
        else:
            hashes.drop(self.lake.hashes(self.contract.org, self.contract.dataset))

    def _commit(
        self,
        location: Path,
        query: str,
        written: Sequence[WrittenFile],
        batch: int,
        metadata: dict[str, str],
        replaced: Sequence[str] = (),
    ) -> int:
        """`query`: one with the columns of what was written; `replaced`: the names of files that go."""
        return delta.commit(
            location,
            query_schema(self.con, query, self.contract.id),
            "append",
            delta.latest(location),
            written,
            replaced,
            metadata={"batch": str(batch), "contract": self.contract.hash, **metadata},
            transaction=(APPLICATION, batch),
            evolve=True,
        )

    def _write_core(self, changes: Changes) -> tuple[str, list[WrittenFile]]:
        """Write the rows that change core. A query with their columns, and the files."""
        path, zone = self.delivery.path, self.admission.context.timezone
        first = self.base is None and not isinstance(changes.load, ChangeLog)  # nearly all rows do, as inserted ones
        if not first or not (ways := takeover(self.contract, self.judged, zone, path)):
            both = f"{raw_rows(str(path))} r JOIN changes c ON c.{ROW} = r.file_row_number"
            rows = f"SELECT r.*, c._op, c.{DIRTY} FROM {both}"
            query = self._changes_query(self.admission.decoded(rows, self.judged.cleared.usual))
            return query, copy_rows(self.con, query, self.core)
        derived = {item.column.name: (item.step.arguments["of"], self._derive(item)) for item in self.contract.derived}
        known_at = self._number(f"SELECT epoch_us(TIMESTAMPTZ {literal(self.known_at)})")
        refused, told = changes.not_accepted(), Told(derived, self.delivery.batch, known_at)
        aside = f"{refused} UNION ALL {screen.suspected(self.suspects)}"
        written = ways.write(self.con, aside, told, self.core)
        query = self._changes_query(self.admission.decoded(screen.suspects_but(refused, path, self.suspects)))
        written += copy_rows(self.con, query, self.core)
        if sum(file.rows for file in written) != self._count("changes"):
            raise AssertionError(f"{self.contract.id}: other rows were written than accepted")
        return query, written

    def _changes_query(self, changed: str) -> str:
        """The changed rows, decoded once more, and the last known values of keys that are gone."""
        batch = f"{self.delivery.batch}::BIGINT AS _batch"
        known_at = f"TIMESTAMPTZ {literal(self.known_at)} AS _known_at"
        names = ", ".join(identifier(column.name) for column in self.contract.columns)
        derived = "".join(f", {call} AS {identifier(name)}" for name, call in self._derived().items())
        query = f"SELECT {names}{derived}, _op, {batch}, {ROW}, {known_at} FROM ({changed})"
        if not self._count("deleted"):
            return query
        key = self.contract.form.load.key
        same = " AND ".join(f"l.{identifier(name)} = d.{identifier(name)}" for name in key)
        log = f"(SELECT l.* FROM core_log l SEMI JOIN deleted d ON {same})"
        last = current_state(log, key, self._columns(), None, '"')
        everything = ", ".join(map(identifier, self._columns()))
        return (
            f"{query} UNION ALL "
            f"SELECT {everything}, 'D' AS _op, {batch}, NULL::BIGINT AS {ROW}, {known_at} FROM ({last})"
        )

    def _derive(self, item: Derived) -> Callable[[Any], Any]:
        """What computes a derived column of the one that it is derived from."""
        function = derivations[item.step.verb].function
        return lambda values: function(values, self.key, of="")

    def _register_derivation(self, name: str, item: Derived) -> None:
        self.con.create_function(
            name,
            self._derive(item),
            ["VARCHAR"],
            TYPES[item.column.definition.logicalType],
            type=PythonUDFType.ARROW,
            null_handling=FunctionNullHandling.SPECIAL,
        )

    def _refused_queries(self, refused: int) -> list[str]:
        """All refused rows; many of them in parts, for a delivery that is refused whole may be larger than memory."""
        if refused <= _TOGETHER:
            return [self._refused_query("true")]
        parts = range(0, self.delivery.rows, _TOGETHER)
        return [self._refused_query(f"{ROW} BETWEEN {first} AND {first + _TOGETHER - 1}") for first in parts]

    def _refused_query(self, some: str) -> str:
        """Refused rows with their rules and the row as received; for the engine and, through issues, the owner. `some`:
        of which rows."""
        failed = ", ".join(
            f"CASE WHEN {self.admission.failed(index)} THEN {literal(judgement.rule)} END"
            for index, judgement in enumerate(self.admission.judgements)
        )
        masks = ", ".join(self.admission.masks)
        refused = (
            f"SELECT {ROW}, {masks}, _rule FROM judged LEFT JOIN late_refused USING ({ROW}) "
            f"WHERE ({some}) AND (NOT ({self.admission.accepted}) OR _rule IS NOT NULL)"
        )
        # as text, for JSON would make floats of exact numbers
        names = pq.read_schema(self.delivery.path).names
        told = ", ".join(f"{literal(name)}: CAST(d.{identifier(name)} AS VARCHAR)" for name in names)
        rows = screen.delivered(self.con, refused, self.delivery.path, self.suspects)
        return (
            f"SELECT {self.delivery.batch}::BIGINT AS _batch, r.{ROW}, "
            f"TIMESTAMPTZ {literal(self.known_at)} AS _known_at, "
            f"concat_ws(',', {failed}, r._rule) AS rules, to_json({{{told}}})::VARCHAR AS delivered "
            f"FROM ({refused}) r JOIN {rows} d ON d.file_row_number = r.{ROW}"
        )

    def _count(self, table: str) -> int:
        return self._number(f"SELECT count(*) FROM {table}")

    def _number(self, query: str) -> int:
        return int((self.con.execute(query).fetchone() or (0,))[0])


def applied(core: Path) -> int | None:
    """The batch that a table of core took in last, also if a killed run did not live to record it; None without one."""
    return delta.committed(core, APPLICATION)


def admit(
    contract: SourceContract,
    contracts: Contracts,
    lake: Lake,
    key: bytes,
    delivery: Delivery,
    today: date,
    known_at: str,
    receipts: Receipts,
) -> Admitted:
    """Admit a delivery unless that was done before or the steward rejected it; write the receipt of what happened.

    `key` is the city's pseudonym key, `known_at` the UTC time that new rows carry.
    """
    if done := receipts.last(Stage.ADMIT, contract.id, delivery.batch):
        return Admitted(**done.body)
    before = Before.read(receipts, contract, delivery.batch)
    key_now = list(contract.form.load.key)
    if before.last and before.last.key != key_now:
        named = {"old": "、".join(before.last.key), "new": "、".join(key_now)}
        raise CitylakeError("admit.key_changed", subject=contract.id, **named)
    confirmed = receipts.last(Stage.CONFIRM, contract.id, delivery.batch) is not None
    batch = Batch(contract, contracts, lake, key, delivery, today, known_at)
    outcome = batch.run(before, confirmed)
    receipts.add(Stage.HOLD if outcome.held else Stage.ADMIT, contract.id, vars(outcome), delivery.batch)
    return outcome
