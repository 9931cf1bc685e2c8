"""疑义数据反馈: what somebody says is wrong in the data, and how the responsible department answers it.

Raised by a steward, a department or the public, taken up (verifying), then either unfounded or corrected at the
source; the proof of a correction is a batch that was admitted after the issue was raised. Every act is a row with who
and when. Belongs here: the life of such issues. Does not belong here: problems that runs find (`report` closes those),
which batch proves what (proof), and who had read what was wrong.
"""

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

import duckdb
import sqlalchemy as sa

from pipelines.codecs import functions
from pipelines.codecs.sql import literal
from pipelines.contracts.calendar import Due, WorkCalendar
from pipelines.contracts.forms.city import CityForm, Duty
from pipelines.contracts.resolved import Contracts
from pipelines.issues import Finding, Issues
from pipelines.issues.corrections import AREA as CORRECTED
from pipelines.issues.corrections import WrongCell, wrong_cells
from pipelines.issues.proof import corrected_by, sources_of
from pipelines.messages import CitylakeError
from pipelines.privacy.said import said_in
from pipelines.privacy.scanner import scan
from pipelines.register import Register
from pipelines.register.receipts import REPLAY, RETURNED, Receipts, Stage
from pipelines.register.store import now
from pipelines.register.tables import issue as issues
from pipelines.register.tables import issue_act as acts
from pipelines.register.times import as_utc
from pipelines.settings import Settings

AREA = "feedback"
Origin = Literal["steward", "department", "public"]
Act = Literal["raised", "verifying", "unfounded", "corrected"]
LONGEST = 500
PLACE = re.compile(r"(0|[1-9][0-9]{0,8}):(0|[1-9][0-9]{0,11})")
"""A row of a source just as libraries write it, `batch:number`: another spelling would be found in none."""
DUTIES: Mapping[str, Duty] = {
    AREA: "verification",
    CORRECTED: "acknowledgement",
    **dict.fromkeys(("admit", "drift", "order", "across", "advice", "rights", "publicity"), "correction"),
    **dict.fromkeys(("pull", "freshness"), "delivery"),
    "recall": "recall",
}
"""By area of issues the duty that has a deadline, where the city sets one."""


@dataclass(frozen=True)
class Done:
    """One act on an issue. `at` is UTC."""

    at: datetime
    who: str
    act: Act
    note: str
    proof: dict[str, Any] | None


class Feedback:
    """The issues that people raise about the data of one home."""

    def __init__(self, register: Register, contracts: Contracts, settings: Settings) -> None:
        self.register, self.contracts, self.settings = register, contracts, settings

    def raise_(
        self,
        subject: str,
        column: str | None,
        origin: Origin,
        who: str,
        what: str,
        row: str | None = None,
        cells: Sequence[WrongCell] = (),
    ) -> int:
        """Open an issue about a source, model or product, or a column of it; returns its number. `row`: which row of a
        source says it, `batch:number` as `citylake explain` names it. `cells`: of a row of a model or product, the
        cells of sources that it was made from.

        It goes to whoever says these cells, or the column first by the authority matrix, otherwise to the owner of the
        subject. Raises CitylakeError for what no contract names, and for a text that holds personal values.
        """
        owner = self._owner(subject, column)
        require_harmless(what)
        if row is not None:
            cells = [self._cell(subject, column, row)]
        if cells:
            owner = self.contracts.sources[cells[0].source].org
        about = {"subject": subject, "column": column or "—", "origin": origin, "what": what}
        finding = Finding(f"{AREA}.{origin}", about, "warning", uuid.uuid4().hex[:12])
        doubted = ({"column": column} if column else {}) | _said(cells)
        with self.register.begin() as connection:
            number = Issues.open_one(connection, subject, owner, finding)
            _record(connection, number, who, "raised", what, doubted or None)
        return number

    def take_up(self, number: int, who: str, note: str) -> None:
        """Say that the department looks into it. Raises CitylakeError if it is none, or closed."""
        self._act(number, who, "verifying", note, None)

    def unfounded(self, number: int, who: str, note: str) -> None:
        """Close it: the data are right. Raises CitylakeError if it is none, or closed."""
        self._act(number, who, "unfounded", note, {"unfounded": note})

    def corrected(
        self,
        number: int,
        who: str,
        note: str,
        source: str,
        batch: int,
        row: str | None = None,
        column: str | None = None,
    ) -> bool:
        """Close it: the source delivered right data in a batch; whether the wrong row is known, so that who received it
        can be told. `row` and `column`: which cell of the source was wrong, if who raised it did not say.

        Raises CitylakeError if it is none, or closed, or the batch was not delivered and admitted after the issue was
        raised, or says nothing of what was doubted."""
        issue = self._open(number)
        raised = as_utc(issue["first_seen"])
        known = wrong_cells(self.register, issue)
        self._require_sayer(issue, known, source)
        receipts = Receipts(self.register, AREA)
        pulled, found = (receipts.last(stage, source, batch) for stage in (Stage.PULL, Stage.ADMIT))
        late = pulled is None or pulled.body["origin"].startswith((REPLAY, RETURNED)) or as_utc(pulled.at) <= raised
        if late or found is None or found.body["held"]:  # what we made of earlier deliveries proves nothing
            raise CitylakeError("feedback.no_proof", number=number, source=source, batch=batch)
        if known and row is not None:  # another one would prove another correction
            raise CitylakeError("feedback.row_known", number=number)
        own = column or (self._column(number) if source == issue["subject"] else None)
        told = [self._cell(source, own, row)] if row is not None else []
        cells = told or [cell for cell in known if cell.source == source]
        self._require_changed(number, cells, batch)
        proof = {"source": source, "batch": batch, "admitted": as_utc(found.at).isoformat(timespec="seconds")}
        self._act(number, who, "corrected", note, proof | _said(told))
        return bool(cells)

    def history(self, number: int) -> list[Done]:
        """Everything that was done about an issue, in order."""
        rows = self.register.rows(sa.select(acts).where(acts.c.issue == number).order_by(acts.c.id))
        return [Done(as_utc(row["at"]), row["who"], row["act"], row["note"], row["proof"]) for row in rows]

    def _column(self, number: int) -> str | None:
        """The column that an issue is about, if it named one."""
        raised = next((done.proof or {} for done in self.history(number) if done.act == "raised"), {})
        return raised.get("column")

    def _require_sayer(self, issue: Mapping[str, Any], cells: Sequence[WrongCell], source: str) -> None:
        """Raises CitylakeError unless the source says what the issue is about."""
        column = self._column(issue["id"])
        said = sources_of(self.contracts, self.settings.dbt_project, issue["subject"], column)
        known = {cell.source for cell in cells} or said
        if source not in known:
            about = {"number": issue["id"], "subject": issue["subject"], "column": column or "—", "source": source}
            raise CitylakeError("feedback.other_source", **about, known="、".join(sorted(known)) or "—")

    def _require_changed(self, number: int, cells: Sequence[WrongCell], batch: int) -> None:
        """Raises CitylakeError if a batch corrected none of the cells of a source that an issue is about."""
        for cell in cells:
            if corrected_by(self.settings.lake, self.contracts.sources[cell.source], cell.row, cell.column, batch):
                return
        if cells:
            raise CitylakeError("feedback.unchanged", number=number, batch=batch, **asdict(cells[0]))

    def _cell(self, source: str, column: str | None, row: str) -> WrongCell:
        """A cell of a source. Raises CitylakeError unless it is in a row of a batch of the source, and the column is
        said."""
        place = PLACE.fullmatch(row)
        pulled = Receipts(self.register, AREA).last(Stage.PULL, source, int(place[1])) if place else None
        if column is None or place is None or pulled is None or source not in self.contracts.sources:
            raise CitylakeError("feedback.no_row", subject=source, row=row)
        self._owner(source, column)
        if int(place[2]) >= pulled.body["rows"]:
            rows = pulled.body["rows"]
            raise CitylakeError("feedback.beyond", subject=source, row=row, batch=int(place[1]), rows=rows)
        return WrongCell(source, column, row)

    def _owner(self, subject: str, column: str | None) -> str:
        contracts = self.contracts
        product = contracts.products.get(subject)
        model = product.contract if product else contracts.models.get(subject)
        source = contracts.sources.get(subject)
        if model is None and source is None:
            raise CitylakeError("feedback.unknown_subject", subject=subject)
        shown = product.columns if product else model.columns if model else source.columns if source else ()
        if column is not None and column not in {one.name for one in shown}:
            raise CitylakeError("feedback.unknown_column", subject=subject, column=column)
        if source is not None:
            return source.org
        assert model is not None
        if column is not None:
            own = next(one.source for one in product.columns if one.name == column) if product else column
            for claim in contracts.authority.get(model.id, {}).get(own, ()):
                return contracts.sources[claim.source].org
        return model.form.owner

    def _open(self, number: int) -> dict[str, Any]:
        rows = self.register.rows(sa.select(issues).where(issues.c.id == number, issues.c.code.startswith(f"{AREA}.")))
        if not rows or rows[0]["status"] != "open":
            raise CitylakeError("feedback.not_open", number=number)
        return rows[0]

    def _act(self, number: int, who: str, act: Act, note: str, proof: dict[str, Any] | None) -> None:
        text = self._open(number)["text"]
        require_harmless(note)
        with self.register.begin() as connection:
            at = now()
            seen: dict[str, Any] = {"last_seen": at}
            if proof is not None:
                seen |= {"status": "closed", "closed": at, "text": text | {"proof": {AREA: act, **proof}}}
            changed = connection.execute(
                sa.update(issues).where(issues.c.id == number, issues.c.status == "open").values(**seen)
            )
            if not changed.rowcount:  # somebody closed it in the meantime
                raise CitylakeError("feedback.not_open", number=number)
            _record(connection, number, who, act, note, proof)


def due(issue: Mapping[str, Any], city: CityForm) -> Due | None:
    """Until when the owner of an issue must have done their duty about it, from the day of the city since which it is
    open; None where there is no duty, or the city sets no time."""
    duty = DUTIES.get(issue["code"].partition(".")[0])
    deadline = city.deadlines.get(duty) if duty is not None else None
    if deadline is None or city.workCalendar is None:
        return None
    since = as_utc(issue["first_seen"]).astimezone(ZoneInfo(city.timezone)).date()
    return WorkCalendar(city.workCalendar).due(since, deadline.days)


def _said(cells: Sequence[WrongCell]) -> dict[str, Any]:
    """What an act keeps of the cells that it names."""
    return {"cells": [asdict(cell) for cell in cells]} if cells else {}


def _record(
    connection: sa.Connection, number: int, who: str, act: Act, note: str, proof: dict[str, Any] | None
) -> None:
    row = {"issue": number, "at": now(), "who": who, "act": act, "note": note, "proof": proof}
    connection.execute(sa.insert(acts).values(**row))


def require_harmless(text: str) -> None:
    """Raises CitylakeError for a text that is too long or holds identity numbers, telephones, somebody's birth or home
    or the like: issues are read by everybody."""
    if not text.strip() or len(text) > LONGEST:
        raise CitylakeError("feedback.length", longest=LONGEST)
    with duckdb.connect() as con:
        functions.add_to(con)
        found = {one.kind for one in scan(con, f"(SELECT {literal(text)} AS text)")} | said_in(con, text)
    if found:
        raise CitylakeError("feedback.personal", kinds="、".join(sorted(found)))
