"""One delivery: ask the grant, find what leads from the recipient's version to the published one, send it, prove it.

The first delivery, and any that no change set leads to, is the whole of the view: it is gathered in a staging table,
each batch committed with how far it came, so that a run that was killed is gone on with, and takes the place of the
rows in one transaction. The grant is asked again, and the audit written, before each batch; without either nothing is
sent. It is asked once more before a transaction is committed. An end of the grant or of the product is told to the
recipient in the position, and empties the table only if the target says so.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import duckdb

from catalog.delivery import dictionary
from catalog.delivery.changes import SchemaChanged, counted
from catalog.delivery.desk import Admission, Desk, Refused
from catalog.delivery.extracts import Extract
from catalog.delivery.push import PASSING, Delivered, Push, key_of, policy_of
from catalog.delivery.tables import rows
from catalog.delivery.tables.mysql import MysqlTable
from catalog.delivery.tables.postgres import PostgresTable
from catalog.delivery.tables.rows import Batch, Totals
from catalog.delivery.tables.target import CURRENT, Moment, Position, Progress, Target, meanings, staging_name
from catalog.delivery.timeline import timeline
from catalog.policy import audit
from catalog.policy.decision import Reason
from pipelines.contracts.forms.deliveries import DeliveryForm
from pipelines.messages import CitylakeError, translate
from pipelines.register.store import now

_WAYS: dict[str, type[PostgresTable] | type[MysqlTable]] = {
    "postgresql": PostgresTable,
    "postgres": PostgresTable,
    "mysql": MysqlTable,
    "mariadb": MysqlTable,
}


@dataclass(frozen=True)
class _Goal:
    """What the table is to hold: the published version as the grant shows it. `asked`: the answer that this was made
    of; `key`: the columns that name rows, empty if none do; `policy`: what the grant lets through and how rows are
    named."""

    asked: Admission
    admission: Admission
    extract: Extract
    key: tuple[str, ...]
    totals: Totals

    @property
    def policy(self) -> str:
        return policy_of(self.extract, self.key)


class Astray(Exception):
    """The table does not hold what the position says: somebody changed it."""


def deliver(desk: Desk, name: str, form: DeliveryForm, run: str) -> Delivered:
    """Bring the table of one delivery up to date.

    Raises CitylakeError for a database that cannot be reached, that refuses or whose table does not fit, and for counts
    that do not agree; Refused for a denial that may pass; AuditUnavailable; LakeError.
    """
    return _Delivery(desk, name, form, run).run()


def open_target(desk: Desk, form: DeliveryForm) -> Target:
    """The table of a delivery. Raises CitylakeError if its database cannot be reached or is of no kind known here."""
    secret = desk.listing.snapshot().contracts.city.connections[form.connection].secret
    address = desk.settings.connection_string(form.connection, secret)
    scheme = address.partition("://")[0].partition("+")[0].lower() if "://" in address else "postgresql"
    if scheme not in _WAYS:
        raise CitylakeError("deliver.scheme", connection=form.connection, known="、".join(_WAYS))
    return _WAYS[scheme](form.connection, form.table, address)


class _Delivery(Push):
    action: ClassVar[str] = "table.deliver"
    road: ClassVar[str] = "tables"

    def __init__(self, desk: Desk, name: str, form: DeliveryForm, run: str) -> None:
        super().__init__(desk, name, run, recipient=form.recipient, product=form.product)
        self.form = form

    def run(self) -> Delivered:
        try:
            asked = self.ask()
        except Refused as refused:
            if refused.reason not in PASSING and (ended := self._end(refused.reason)):
                return ended
            raise
        admission = self.admitted(asked)
        extract = self.desk.views.extract(admission.allowed)
        target = open_target(self.desk, self.form)
        try:
            columns = {field["name"]: field["type"] for field in extract.fields}
            target.prepare(self.name, columns, self.form.changes)
            self._tidy(target)
            done = self._bring_up(target, asked, admission, extract)
        except Refused as refused:
            if refused.reason not in PASSING:
                target.unstage(self.name)  # what was loaded so far is covered by nothing any more
            raise
        finally:
            target.close()
        self.keep()
        return done

    def _tidy(self, target: Target) -> None:
        """Throw away what was loaded there for deliveries that city.yaml names no more, renamed or taken out: of those
        alone to which the audit says that we sent rows, for another city may load into the same schema."""
        named = self.desk.listing.snapshot().contracts.city.deliveries
        for name in target.loading():
            if name not in named and audit.sent_to(self.desk.register, name, self.action):
                with contextlib.suppress(CitylakeError):  # one that cannot be thrown away stops no other delivery
                    target.unstage(name)

    def _bring_up(self, target: Target, asked: Admission, admission: Admission, extract: Extract) -> Delivered:
        with self.desk.views.folders.connection() as con:
            key = key_of(con, admission, extract)
            self._require_room(target, con, admission, extract, key)
            goal = _Goal(asked, admission, extract, key, rows.totals(con, extract))
            try:
                with target.transaction(self.name) as position:
                    self._begin(position, goal)
                    done = self._step(target, con, position, goal)
            except Astray:
                done = None
            done = done or self._anew(target, con, goal)
        target.unstage(self.name)
        return done

    def _require_room(
        self,
        target: Target,
        con: duckdb.DuckDBPyConnection,
        admission: Admission,
        extract: Extract,
        key: tuple[str, ...],
    ) -> None:
        """Raises CitylakeError for a column that is too short for a value: a database says only that there is one, and
        of blanks at the end of a text, which it cuts off, nothing. Rows are named by what everybody may see."""
        public = self.desk.listing.snapshot().contracts.shown_to_all
        levels = {shown.name: shown.level for shown in admission.offering.product.columns}
        telling = key if all(levels[name] <= public for name in key) else ()
        for room in target.room(self.form.changes):
            if room.column in extract.columns and (found := rows.too_long(con, extract, room, telling)):
                raise CitylakeError(
                    "deliver.too_many_bytes" if room.in_bytes else "deliver.too_long",
                    connection=target.connection,
                    table=target.table,
                    column=room.column,
                    most=room.most,
                    longest=found.longest,
                    rows=found.rows,
                    first="；".join(found.first) or "—",
                )

    def _begin(self, position: Position, goal: _Goal) -> None:
        """Nobody else delivers from here on; but somebody may have, a newer version than the one that was asked for."""
        self.recover(position.statement, position.signature)
        self.ask_again(goal.asked)

    def _step(
        self, target: Target, con: duckdb.DuckDBPyConnection, position: Position, goal: _Goal
    ) -> Delivered | None:
        """Nothing or a change set, whichever leads from the position to the published version; None if neither does."""
        version, rows_after = goal.extract.version, goal.totals.rows
        if (position.version, position.policy, position.state) == (version, goal.policy, CURRENT):
            if target.totals() != goal.totals:
                raise Astray
            self._describe(target, goal)
            if self.form.changes:
                self._log_begun(target, position, goal)
            else:
                target.clear_log()
            return Delivered(self.name, "unchanged", version, rows_after)
        before = self._before(position, goal)
        try:
            changes = self.desk.changes(before, goal.admission) if before else None
        except SchemaChanged:
            changes = None
        if before is None or changes is None:
            return None
        held = self.desk.views.extract(before.allowed)
        if held.columns != goal.extract.columns:  # names and checks of rows are made of the values in their order
            return None
        at = self._log_begun(target, position, goal) if self.form.changes else None
        self._send(target, goal, rows.changed_rows(con, changes, held, goal.key), at)
        if target.totals() != goal.totals:
            raise Astray
        counts = counted(con, changes)
        self._arrive(target, goal, how="changes", since=position.version, **counts)
        return Delivered(self.name, "changes", version, rows_after, **counts)

    def _anew(self, target: Target, con: duckdb.DuckDBPyConnection, goal: _Goal) -> Delivered:
        """All rows, whatever the table holds: gathered beside it, then put in their place."""
        progress = self._load(target, con, goal)
        with target.transaction(self.name) as position:
            self._begin(position, goal)
            held = self._ours(target, position)
            self._keep_pace(target, progress)
            target.take_over(staging_name(self.name), goal.extract.columns, progress.loaded)
            self._require(target, goal)
            if self.form.changes:
                target.begin_log(self._moment(goal, goal.extract.version))
            counts = {"inserted": goal.totals.rows, "updated": 0, "deleted": held}
            self._arrive(target, goal, how="snapshot", since=None, **counts)
        return Delivered(self.name, "snapshot", goal.extract.version, goal.totals.rows, **counts)

    def _load(self, target: Target, con: duckdb.DuckDBPyConnection, goal: _Goal) -> Progress:
        """Fill the staging table from where a run before this one was stopped, or from the first row."""
        staging, start = staging_name(self.name), Progress(self.form.product, goal.extract.version, goal.policy)
        with target.transaction(self.name) as position:
            self._ours(target, position)
            stopped = target.progress(self.name)
            whole = stopped and stopped.leads_to(start) and target.totals(staging) == stopped.totals
        if whole and stopped:
            progress = stopped
        else:
            target.stage(self.name, goal.extract.columns, progress := start)
        for batch in rows.all_rows(con, goal.extract, goal.key, progress.last_row):
            self.ask_again(goal.asked)
            self.audit(goal.admission, batch=progress.loaded // rows.BATCH, rows=len(batch.put), deleted=0)
            with target.transaction(self.name):
                self._keep_pace(target, progress)
                target.put(goal.extract.columns, batch.put, staging)
                target.advance(self.name, progress := progress.after(batch.put))
        return progress

    def _ours(self, target: Target, position: Position) -> int:
        """How many rows the table holds. Raises CitylakeError if it holds any before the first delivery."""
        held = target.totals().rows
        if position.version is None and held:
            raise CitylakeError("deliver.not_ours", connection=target.connection, table=target.table, rows=held)
        return held

    def _keep_pace(self, target: Target, progress: Progress) -> None:
        """Raises CitylakeError if somebody else loads the same delivery."""
        if target.progress(self.name) != progress:
            raise CitylakeError("deliver.overtaken", name=self.name)

    def _require(self, target: Target, goal: _Goal) -> None:
        """Raises CitylakeError unless the table holds just what it should."""
        there = target.totals()
        if there != goal.totals:
            raise CitylakeError("deliver.counts", name=self.name, rows=there.rows, wanted=goal.totals.rows)

    def _before(self, position: Position, goal: _Goal) -> Admission | None:
        """The read of the version that the recipient has, None if no change set leads on from it."""
        if position.version is None or (position.product, position.policy) != (self.form.product, goal.policy):
            return None
        return self.before(goal.admission, position.version)

    @staticmethod
    def _moment(goal: _Goal, since: int) -> Moment:
        return Moment(goal.extract.version, now(), goal.extract.columns, since)

    def _log_begun(self, target: Target, position: Position, goal: _Goal) -> Moment:
        """The table of changes, ready for those of this delivery. It begins anew from the recipient's version if there
        was none, or if it tells of a version that an erasure or an ended period changed: it may have what was erased.
        """
        assert position.version is not None
        at, begun = self._moment(goal, position.version), target.logged_from()
        rewritten = timeline(self.desk.listing, self.product).rewritten
        if begun is None or any(begun <= version < at.version for version in rewritten):
            target.begin_log(replace(at, version=position.version))
        return at

    def _send(self, target: Target, goal: _Goal, batches: Iterator[Batch], at: Moment | None) -> None:
        """Ask the grant again and audit, then send, batch by batch; into the table of changes too, if there is one."""
        for number, batch in enumerate(batches):
            self.ask_again(goal.asked)
            self.audit(goal.admission, batch=number, rows=len(batch.put), deleted=len(batch.drop))
            if batch.drop:
                if at is not None:
                    target.log("D", at, batch.drop)
                target.drop(batch.drop)
            if batch.put:
                names = [row[-2] for row in batch.put]
                there = target.present(names) if at is not None else set()
                target.put(goal.extract.columns, batch.put)
                if at is not None:
                    target.log("U", at, [name for name in names if name in there])
                    target.log("I", at, [name for name in names if name not in there])

    def _arrive(self, target: Target, goal: _Goal, **facts: Any) -> None:
        """Write position, receipt and dictionary, in the transaction of the rows."""
        self._describe(target, goal)
        if not self.form.changes:
            target.clear_log()  # of one that is kept no more nothing stays that nobody would erase from
        extract = goal.extract
        statement, signature = self.sign(
            table=self.form.table,
            version=extract.version,
            policy=goal.policy,
            **self.described(goal.admission, extract.columns),
            rows=goal.totals.rows,
            checksum=goal.totals.checksum,
            **facts,
        )
        told = Position(
            product=self.form.product,
            version=extract.version,
            policy=goal.policy,
            rows=goal.totals.rows,
            checksum=goal.totals.checksum,
            state=CURRENT,
            statement=statement,
            signature=signature,
        )
        target.move(self.name, told)
        # putting rows in their place takes minutes: what was taken back meanwhile is not committed
        self.desk.stands(goal.admission, self.action, self.road, delivery=self.name)

    def _describe(self, target: Target, goal: _Goal) -> None:
        """Write the dictionary, if it says anything else."""
        product = goal.admission.offering.product
        entries = dictionary.entries(product, goal.extract.columns, goal.admission.allowed.masks)
        said = meanings(entries, product.form.licence)
        if target.described(self.name) != said:
            target.describe(self.name, said)

    def _end(self, reason: Reason) -> Delivered | None:
        """Tell the recipient that the delivery ended; None if there never was one."""
        target = open_target(self.desk, self.form)
        try:
            if not target.exists():
                return None
            target.unstage(self.name)
            self._tidy(target)
            with target.transaction(self.name) as position:
                if position.version is None and position.state == "":
                    return None
                self.recover(position.statement, position.signature)
                self.require_own()
                if position.state != reason.value:
                    self._tell_end(target, position, reason)
                if not self.form.changes:
                    target.clear_log()
            self.keep()
            return Delivered(self.name, "ended", None, target.totals().rows)
        finally:
            target.close()

    def _tell_end(self, target: Target, position: Position, reason: Reason) -> None:
        emptied = self.form.whenEnded == "empty"
        deleted = target.totals().rows if emptied else 0
        if emptied:
            target.empty()
            target.clear_log()
        left = target.totals()
        statement, signature = self.sign(
            table=self.form.table,
            version=position.version,
            policy=position.policy,
            how="ended",
            reason=reason.value,
            told=translate(f"web.reason.{reason.value}", "zh"),
            rows=left.rows,
            checksum=left.checksum,
            deleted=deleted,
        )
        version = None if emptied else position.version
        told = replace(position, version=version, rows=left.rows, checksum=left.checksum, state=reason.value)
        target.move(self.name, replace(told, statement=statement, signature=signature))
