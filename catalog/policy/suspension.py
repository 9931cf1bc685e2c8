"""Emergency cut-off: a recipient or a whole organisation reads nothing any more, until it is lifted.

Looked up whenever a caller is loaded, so it ends tokens, sessions and signed addresses at once. Every act is audited
with it.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import sqlalchemy as sa

from catalog.policy import audit, users
from pipelines.contracts.resolved import Contracts
from pipelines.messages import CitylakeError
from pipelines.register import Register, chain
from pipelines.register.store import now
from pipelines.register.tables import recipient
from pipelines.register.tables import suspension as table
from pipelines.register.times import as_utc, as_utc_or_none

Whom = Literal["recipient", "organisation"]


@dataclass(frozen=True)
class Suspension:
    """Who is cut off since `at` (UTC), by whom and why; over since `lifted`, None while it is in force."""

    id: int
    whom: Whom
    name: str
    at: datetime
    who: str
    why: str
    lifted: datetime | None


def suspend(register: Register, contracts: Contracts, whom: Whom, name: str, why: str, *, actor: str) -> Suspension:
    """Cut somebody off at once. Raises CitylakeError for an unknown name, and for who is suspended already.

    Raises NotAllowed.
    """
    _require_why(why)
    with users.acting(register, f"{whom}.suspend", actor) as (connection, _):
        _require(connection, contracts, whom, name)
        chain.take_place(connection, table)
        if connection.execute(sa.select(table.c.id).where(_standing(whom, name))).first() is not None:
            raise CitylakeError("suspension.standing", name=name)
        row = {"whom": whom, "name": name, "at": now(), "who": actor, "why": why.strip()}
        key = connection.execute(sa.insert(table).values(**row)).inserted_primary_key
        assert key is not None
        _audit(connection, whom, name, "suspend", actor, why)
    return next(item for item in listed(register) if item.id == key[0])


def lift(register: Register, whom: Whom, name: str, why: str, *, actor: str) -> Suspension:
    """End a suspension at once. Raises CitylakeError for who is not suspended; NotAllowed."""
    _require_why(why)
    with users.acting(register, f"{whom}.lift", actor) as (connection, _):
        chain.take_place(connection, table)
        found: list[int] = list(connection.execute(sa.select(table.c.id).where(_standing(whom, name))).scalars())
        if not found:
            raise CitylakeError("suspension.none", name=name)
        # of an older version two may stand
        connection.execute(sa.update(table).where(table.c.id.in_(found)).values(lifted=now()))
        _audit(connection, whom, name, "lift", actor, why)
    return next(item for item in listed(register) if item.id == found[-1])


def listed(register: Register) -> list[Suspension]:
    """All suspensions there ever were, oldest first."""
    rows = register.rows(sa.select(table).order_by(table.c.id))
    return [Suspension(**{**row, "at": as_utc(row["at"]), "lifted": as_utc_or_none(row["lifted"])}) for row in rows]


def of_recipient(name: sa.Column[str]) -> sa.Exists:
    """Whether the recipient that a row names, or its organisation, is suspended: a condition for a query."""
    mine = sa.select(recipient.c.organisation).where(recipient.c.name == name).correlate(name.table)
    own = (table.c.whom == "recipient") & (table.c.name == name)
    whole = (table.c.whom == "organisation") & (table.c.name == mine.scalar_subquery())
    return sa.exists().where(table.c.lifted.is_(None), own | whole).correlate(name.table)


def _require_why(why: str) -> None:
    if not why.strip():
        raise CitylakeError("withdrawal.who_and_why")


def _standing(whom: Whom, name: str) -> sa.ColumnElement[bool]:
    return (table.c.whom == whom) & (table.c.name == name) & table.c.lifted.is_(None)


def _require(connection: sa.Connection, contracts: Contracts, whom: Whom, name: str) -> None:
    if whom == "organisation":
        known = name in contracts.codes["organisations"].rows
    else:
        known = connection.execute(sa.select(recipient.c.name).where(recipient.c.name == name)).first() is not None
    if not known:
        raise CitylakeError("suspension.unknown", name=name)


def _audit(connection: sa.Connection, whom: Whom, name: str, act: str, actor: str, why: str) -> None:
    body = {"name": name, "actor": actor, "why": why.strip()}
    audit.append(connection, f"{whom}.{act}", "allowed", body, recipient=name if whom == "recipient" else None)
