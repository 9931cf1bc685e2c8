"""Corrections: what a source said wrong in one column of one row, and the batch that says it right, as closed issues
prove. And the notices that tell of them, until each is acknowledged.

Belongs here: reading them from issues and receipts, closing notices. Does not belong here: where the row was published
(pipelines/release/corrected), and who received it (catalog/corrected).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from pipelines.messages import CitylakeError
from pipelines.register import Register
from pipelines.register.receipts import Receipts, Stage
from pipelines.register.store import now
from pipelines.register.tables import issue as issues
from pipelines.register.tables import issue_act as acts
from pipelines.register.times import as_utc

AREA = "corrected"
KEPT = 10_000
"""Receipts of a source among which a correction is looked for."""


@dataclass(frozen=True)
class WrongCell:
    """A cell of a source that somebody doubts: `row` is its place, `batch:number`."""

    source: str
    column: str
    row: str


@dataclass(frozen=True)
class Correction:
    """`issue`: the number of the closed issue. `row`: the place of the wrong row, `batch:number`; `batch` brought the
    right value. What is released after `since` (UTC) may hold it."""

    issue: int
    source: str
    row: str
    column: str
    batch: int
    since: datetime


def proved(register: Register, after: datetime) -> list[Correction]:
    """Every correction with a known row whose issue was closed, with proof, after a moment; the first one first."""
    closed = (issues.c.status == "closed") & (issues.c.closed > after)
    mine = issues.c.code.startswith("feedback.") | issues.c.code.startswith("rights.correction:")
    found = register.rows(sa.select(issues).where(closed, mine).order_by(issues.c.id))
    return [one for row in found if "proof" in row["text"] for one in _correction(register, row)]


def _correction(register: Register, issue: dict[str, Any]) -> Iterator[Correction]:
    proof = issue["text"]["proof"]
    if proof.get("feedback") == "corrected":
        since = datetime.fromisoformat(proof["admitted"])
        for cell in wrong_cells(register, issue):
            if cell.source == proof["source"]:
                yield Correction(issue["id"], cell.source, cell.row, cell.column, proof["batch"], since)
    elif proof.get("batches"):
        asked = issue["code"].partition(":")[2]
        for one in Receipts(register, AREA).of_stage(Stage.CORRECTION, issue["subject"], KEPT):
            if one.body["id"] == asked and "row" in one.body:
                since = as_utc(one.at if one.body["applied"] else issue["closed"])
                place = (one.body["row"], one.body["column"])
                yield Correction(issue["id"], issue["subject"], *place, max(proof["batches"]), since)


def wrong_cells(register: Register, issue: Mapping[str, Any]) -> list[WrongCell]:
    """The cells of sources that an issue is about, as who raised it or who settled it named them."""
    said = (acts.c.issue == issue["id"]) & acts.c.act.in_(["raised", "corrected"])
    found: list[WrongCell] = []
    for row in register.rows(sa.select(acts.c.proof).where(said).order_by(acts.c.id)):
        proof = row["proof"] or {}
        found += [WrongCell(**cell) for cell in proof.get("cells", ())]
        if "row" in proof:  # what was raised about a source before cells were kept
            found.append(WrongCell(issue["subject"], proof["column"], proof["row"]))
    return found


def acknowledge(connection: sa.Connection, notice: int, who: str, note: str, recipient: str | None = None) -> None:
    """Close a notice by the word of whoever received it, inside the caller's writing transaction. `recipient`: only if
    it tells this one. Raises CitylakeError if it is none, or closed."""
    mine = (issues.c.id == notice) & (issues.c.status == "open") & issues.c.code.startswith(f"{AREA}.")
    row = connection.execute(sa.select(issues.c.code, issues.c.text).where(mine)).first()
    if row is None or recipient not in (None, recipient_of(row.code)):
        raise CitylakeError("corrected.not_open", number=notice)
    at = now()
    text = row.text | {"proof": {AREA: note, "who": who}}
    closed = {"status": "closed", "closed": at, "last_seen": at, "text": text}
    connection.execute(sa.update(issues).where(mine).values(**closed))
    act = {"issue": notice, "at": at, "who": who, "act": "acknowledged", "note": note, "proof": None}
    connection.execute(sa.insert(acts).values(**act))


def notices(register: Register, recipient: str | None = None, *, closed: bool = False) -> list[dict[str, Any]]:
    """The notices of corrections, of one recipient or all, the newest first; with `closed` those acknowledged too."""
    mine = issues.c.code.startswith(f"{AREA}.")
    if not closed:
        mine &= issues.c.status == "open"
    rows = register.rows(sa.select(issues).where(mine).order_by(issues.c.id.desc()))
    return [row for row in rows if recipient is None or recipient_of(row["code"]) == recipient]


def recipient_of(code: str) -> str:
    """Whom the notice with this identity, `corrected.received:<issue>.<recipient>`, tells."""
    return code.partition(":")[2].partition(".")[2]
