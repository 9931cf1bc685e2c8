"""Epochs of pseudonyms: when a recipient's pseudonyms change, by whom and why, and which epoch is in force.

Looked up whenever a caller is loaded, so that a rotation acts at once on every road. Belongs here: the record. Does not
belong here: keys (catalog/delivery/pseudonyms), the table that leads from one epoch to the next (catalog/delivery).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from catalog.policy import audit, users
from catalog.policy.decision import Epoch
from pipelines.messages import CitylakeError
from pipelines.register import Register
from pipelines.register.store import now
from pipelines.register.tables import pseudonym_epoch as table
from pipelines.register.tables import recipient as recipients
from pipelines.register.times import as_utc, as_utc_or_none

ROTATE = "pseudonym.rotate"


@dataclass(frozen=True)
class Rotation:
    """An epoch that somebody began. `since`: from when it is in force, UTC; `compromised`: the keys before it, or what
    they hide, are known to others, so nothing may lead from them to the new ones."""

    recipient: str
    number: int
    since: datetime
    at: datetime
    who: str
    why: str
    compromised: bool

    @property
    def epoch(self) -> Epoch:
        """What a decision needs of it."""
        return Epoch(self.number, self.since)


def rotate(
    register: Register,
    recipient: str,
    why: str,
    *,
    actor: str,
    zone: str,
    day: date | None = None,
    compromised: bool = False,
) -> Rotation:
    """Begin a new epoch of a recipient at once, or with a day of the city that is to come.

    Raises CitylakeError for an unknown recipient, a day that has begun and no reason; NotAllowed.
    """
    if not why.strip():
        raise CitylakeError("withdrawal.who_and_why")
    with users.acting(register, ROTATE, actor) as (connection, _):
        if connection.execute(sa.select(recipients.c.name).where(recipients.c.name == recipient)).first() is None:
            raise CitylakeError("pseudonym.no_recipient", recipient=recipient)
        moment = now()
        since = moment if day is None else as_utc(datetime.combine(day, time(), ZoneInfo(zone)))
        if since < moment:
            raise CitylakeError("pseudonym.past_day", day=day)
        mine = sa.select(sa.func.max(table.c.number)).where(table.c.recipient == recipient)
        number = (connection.execute(mine).scalar() or 1) + 1
        row: dict[str, Any] = {
            "since": since,
            "at": moment,
            "who": actor,
            "why": why.strip(),
            "compromised": compromised,
        }
        connection.execute(sa.insert(table).values(recipient=recipient, number=number, **row))
        said = {"actor": actor, "epoch": number, "since": since.isoformat(), "why": why.strip()}
        audit.append(connection, ROTATE, "allowed", {**said, "compromised": compromised}, recipient=recipient)
    return Rotation(recipient, number, **row)


def rotations(register: Register, recipient: str) -> list[Rotation]:
    """Every rotation of a recipient in the order of their beginnings. Raises CitylakeError for an unknown one."""
    if not register.rows(sa.select(recipients.c.name).where(recipients.c.name == recipient)):
        raise CitylakeError("pseudonym.no_recipient", recipient=recipient)
    query = sa.select(table).where(table.c.recipient == recipient).order_by(table.c.since, table.c.number)
    return [
        Rotation(
            **{**row, "since": as_utc(row["since"]), "at": as_utc(row["at"]), "compromised": bool(row["compromised"])}
        )
        for row in register.rows(query)
    ]


def in_force(name: sa.Column[str], moment: datetime | sa.BindParameter[datetime]) -> Sequence[sa.ColumnElement[Any]]:
    """Columns for a query whose rows name a recipient: number and beginning of the epoch that is in force, and the
    beginning of the one after it."""
    mine = table.c.recipient == name
    newest = sa.select(table).where(mine, table.c.since <= moment)
    newest = newest.order_by(table.c.since.desc(), table.c.number.desc()).limit(1)
    after = sa.select(sa.func.min(table.c.since)).where(mine, table.c.since > moment)
    return [
        *(
            newest.with_only_columns(column).correlate(name.table).scalar_subquery().label(label)
            for column, label in ((table.c.number, "epoch"), (table.c.since, "epoch_since"))
        ),
        after.correlate(name.table).scalar_subquery().label("epoch_until"),
    ]


def epoch_of(row: dict[str, Any]) -> Epoch:
    """The epoch in a row of such a query."""
    return Epoch() if row["epoch"] is None else Epoch(row["epoch"], as_utc_or_none(row["epoch_since"]))
