"""The people who administer: their organisations and roles, and which act needs which role.

The public has no account. Belongs here: who may do what, and the acts on accounts themselves. Does not belong here:
proving who somebody is (`signin`; whoever runs the command line has the machine), acts on recipients and grants
(administration).
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, get_args

import sqlalchemy as sa

from catalog.policy import audit
from pipelines.contracts.resolved import Contracts
from pipelines.messages import CitylakeError
from pipelines.register import Register, chain
from pipelines.register.store import now
from pipelines.register.tables import account as table
from pipelines.register.tables import session as sessions
from pipelines.register.times import as_utc, as_utc_or_none

Role = Literal["department_user", "steward", "approver", "auditor", "security_officer", "administrator"]
ROLES: Final[tuple[str, ...]] = get_args(Role)
_SETS_UP, _GUARDS, _LOOKS_ON = "administrator", "security_officer", "auditor"
APART: Final[tuple[frozenset[str], ...]] = (
    frozenset({_SETS_UP, _GUARDS}),
    frozenset({_SETS_UP, "steward"}),
    frozenset({_SETS_UP, "approver"}),
    *(frozenset({_LOOKS_ON, role}) for role in ROLES if role != _LOOKS_ON),
)
"""Pairs that nobody holds: who sets up, who guards and who looks on are three persons, and who makes accounts and
tokens neither gives nor approves what they open."""

ACTS: Final[Mapping[str, frozenset[str]]] = {
    "user.create": frozenset({"administrator"}),
    "user.change": frozenset({"administrator"}),
    "user.end": frozenset({"administrator", "security_officer"}),
    "user.invite": frozenset({"administrator"}),
    "identity.bind": frozenset({"administrator"}),
    "identity.unbind": frozenset({"administrator", "security_officer"}),
    "session.end": frozenset({"administrator", "security_officer"}),
    "application.create": frozenset({"administrator"}),
    "recipient.create": frozenset({"administrator"}),
    "recipient.suspend": frozenset({"security_officer", "administrator", "steward"}),
    "recipient.lift": frozenset({"security_officer"}),
    "organisation.suspend": frozenset({"security_officer", "administrator", "steward"}),
    "organisation.lift": frozenset({"security_officer"}),
    "token.issue": frozenset({"administrator"}),
    "token.rotate": frozenset({"administrator"}),
    "token.renew": frozenset({"department_user"}),
    "token.revoke": frozenset({"administrator", "security_officer"}),
    "grant.give": frozenset({"steward"}),
    "grant.approve": frozenset({"approver"}),
    "grant.revoke": frozenset({"steward", "administrator", "approver", "security_officer"}),
    "release.propose": frozenset({"steward"}),
    "release.approve": frozenset({"approver"}),
    "release.refuse": frozenset({"steward", "approver", "security_officer"}),
    "key.enrol": frozenset({"administrator"}),
    "key.end": frozenset({"administrator", "security_officer"}),
    "anomaly.settle": frozenset({"security_officer"}),
    "pseudonym.rotate": frozenset({"security_officer"}),
    "pseudonym.transition": frozenset({"steward"}),
    "sealing.key": frozenset({"security_officer"}),
    "head.accept": frozenset({"security_officer"}),
    "product.withdraw": frozenset({"security_officer", "steward"}),
    "product.reinstate": frozenset({"security_officer"}),
    "recall.answer": frozenset({"security_officer", "steward"}),
    "person.see": frozenset({"steward"}),
    "person.correct": frozenset({"steward"}),
    "person.erase": frozenset({"security_officer"}),
    "person.lift": frozenset({"security_officer"}),
    "retention.apply": frozenset({"steward", "security_officer"}),
    "retention.hold": frozenset({"steward", "security_officer"}),
    "retention.release": frozenset({"security_officer"}),
    "batch.confirm": frozenset({"steward"}),
    "batch.reject": frozenset({"steward"}),
    "batch.replay": frozenset({"steward"}),
    "volume.confirm": frozenset({"steward"}),
    "quarantine.export": frozenset({"steward"}),
    "quarantine.return": frozenset({"steward"}),
    "across.export": frozenset({"steward"}),
    "core.export": frozenset({"steward"}),
    "layer.export": frozenset({"steward"}),
    "source.rewind": frozenset({"steward"}),
    "linkage.decide": frozenset({"steward"}),
    "issue.verify": frozenset({"department_user", "steward"}),
    "issue.settle": frozenset({"department_user", "steward"}),
    "notice.acknowledge": frozenset({"department_user", "steward"}),
}
"""The roles that may do an act. An auditor is in none: whoever looks on changes nothing."""
LOOKS: Final[Mapping[str, frozenset[str]]] = {
    "audit.read": frozenset({"auditor", "security_officer", "department_user"}),
    "anomaly.list": frozenset({"auditor", "security_officer"}),
    "access.list": frozenset({"steward", "approver", "auditor", "security_officer", "administrator"}),
    "evidence.export": frozenset({"auditor", "security_officer"}),
    "erasure.check": frozenset({"auditor", "security_officer", "steward"}),
    "failing.show": frozenset({"steward", "auditor"}),
    "linkage.review": frozenset({"steward"}),
    "values.show": frozenset({"steward"}),
}
"""The roles that may look at something; it changes nothing."""
SECOND_FACTOR: Final = frozenset({"auditor", "security_officer", "administrator", "approver"})
"""Whoever holds one of these signs in with a second factor."""
SEES_ALL: Final = frozenset({"auditor", "security_officer"})
"""Of everybody; other roles of their own organisation."""


@dataclass(frozen=True)
class User:
    """Somebody who administers. `created_by` is None for the first administrator; times are UTC."""

    name: str
    organisation: str
    roles: tuple[str, ...]
    created: datetime
    created_by: str | None
    ended: datetime | None


class NotAllowed(CitylakeError):
    """The actor may not do this."""


@contextmanager
def acting(register: Register, act: str, actor: str) -> Iterator[tuple[sa.Connection, User]]:
    """One writing transaction of an act, by a user who holds a role for it. A refusal is audited.

    Raises NotAllowed.
    """
    try:
        with register.begin() as connection:
            yield connection, _allowed(connection, act, actor)
    except NotAllowed as error:
        audit.record(register, act, "denied", {"actor": actor, "reason": error.code})
        raise


def permit(
    register: Register,
    act: str,
    actor: str,
    said: Mapping[str, Any],
    product: str | None = None,
    organisation: str | None = None,
) -> None:
    """Let a user do what writes a record of its own, in the ledger or as a receipt. The row of the audit comes before
    it: it says who was let do it, and stands also if it then fails.

    `organisation`: whose it is; a department user acts for their own alone. Raises NotAllowed.
    """
    with acting(register, act, actor) as (connection, user):
        may = {**ACTS, **LOOKS}[act] & counting(user.roles)
        if may == {"department_user"} and organisation not in (None, user.organisation):
            raise NotAllowed("user.other_organisation", actor=actor, organisation=user.organisation)
        audit.append(connection, act, "allowed", {"actor": actor, **said}, product=product)


def begin(register: Register, contracts: Contracts, name: str, organisation: str) -> User:
    """Make the first administrator, which only works while there is no user. Raises CitylakeError."""
    with register.begin() as connection:
        chain.take_place(connection, table)
        if connection.execute(sa.select(table.c.name).limit(1)).first() is not None:
            raise CitylakeError("user.begun")
        _insert(connection, contracts, name, organisation, ["administrator"], None)
    return _get(register, name)


def create(
    register: Register, contracts: Contracts, name: str, organisation: str, roles: Sequence[str], *, actor: str
) -> User:
    """Enter a user. Raises CitylakeError for a name in use, a bad name, organisation or set of roles; NotAllowed."""
    with acting(register, "user.create", actor) as (connection, _):
        _insert(connection, contracts, name, organisation, roles, actor)
    return _get(register, name)


def change(register: Register, name: str, roles: Sequence[str], *, actor: str) -> User:
    """Give a user other roles at once; nobody changes their own. Raises CitylakeError, NotAllowed."""
    with acting(register, "user.change", actor) as (connection, by):
        _require_other(by, name)
        chosen = _roles(roles)
        require_standing(connection, name)
        _require_administrator(connection, name, chosen)
        connection.execute(sa.update(table).where(table.c.name == name).values(roles=chosen))
        audit.append(connection, "user.change", "allowed", {"actor": actor, "user": name, "roles": chosen})
    return _get(register, name)


def end(register: Register, name: str, *, actor: str) -> User:
    """End a user at once; nobody ends themselves, and one administrator stays. Raises CitylakeError, NotAllowed."""
    with acting(register, "user.end", actor) as (connection, by):
        _require_other(by, name)
        require_standing(connection, name)
        _require_administrator(connection, name, [])
        connection.execute(sa.update(table).where(table.c.name == name).values(ended=now()))
        end_sessions_of(connection, name)
        audit.append(connection, "user.end", "allowed", {"actor": actor, "user": name})
    return _get(register, name)


def end_sessions(register: Register, name: str, *, actor: str) -> int:
    """Sign a user out everywhere at once; returns of how many sessions. Raises CitylakeError, NotAllowed."""
    with acting(register, "session.end", actor) as (connection, _):
        require_standing(connection, name)
        ended = end_sessions_of(connection, name)
        audit.append(connection, "session.end", "allowed", {"actor": actor, "user": name, "sessions": ended})
    return ended


def end_sessions_of(connection: sa.Connection, name: str) -> int:
    """End the sessions of a user within a transaction; returns how many were open."""
    theirs = (sessions.c.account == name) & sessions.c.ended.is_(None)
    return connection.execute(sa.update(sessions).where(theirs).values(ended=now())).rowcount


def listed(register: Register) -> list[User]:
    """All users there ever were, by name."""
    return [user_of(row) for row in register.rows(sa.select(table).order_by(table.c.name))]


def _allowed(connection: sa.Connection, act: str, actor: str) -> User:
    row = connection.execute(sa.select(table).where(table.c.name == actor)).mappings().first()
    if row is None:
        begun = connection.execute(sa.select(table.c.name).limit(1)).first() is not None
        raise NotAllowed("user.unknown" if begun else "user.none_yet", actor=actor)
    user = user_of(dict(row))
    if user.ended is not None:
        raise NotAllowed("user.ended", actor=actor)
    may = {**ACTS, **LOOKS}[act]
    if not may & counting(user.roles):
        needed = "、".join(role for role in ROLES if role in may)
        raise NotAllowed("user.role", actor=actor, act=act, roles="、".join(user.roles), needed=needed)
    return user


def counting(roles: Sequence[str]) -> frozenset[str]:
    """The roles that count. Of those that an older version let one person hold, only setting up does: somebody must be
    able to enter the others, and nobody may go on doing both."""
    apart = any(pair <= set(roles) for pair in APART)
    return frozenset({_SETS_UP}) if apart and _SETS_UP in roles else frozenset(roles)


def _insert(
    connection: sa.Connection,
    contracts: Contracts,
    name: str,
    organisation: str,
    roles: Sequence[str],
    actor: str | None,
) -> None:
    if not (0 < len(name) <= 64) or not name.isprintable() or name != name.strip():
        raise CitylakeError("user.bad_name", name=name)
    if organisation not in contracts.codes["organisations"].rows:
        raise CitylakeError("web.policy.no_organisation", organisation=organisation)
    chosen = _roles(roles)
    if connection.execute(sa.select(table.c.name).where(table.c.name == name)).first() is not None:
        raise CitylakeError("user.exists", name=name)
    row = {"name": name, "organisation": organisation, "roles": chosen, "created": now(), "created_by": actor}
    connection.execute(sa.insert(table).values(**row))
    body = {"actor": actor, "user": name, "organisation": organisation, "roles": chosen}
    audit.append(connection, "user.create", "allowed", body)


def _roles(roles: Sequence[str]) -> list[str]:
    """The roles in their order. Raises CitylakeError for none, an unknown one, or two that must lie apart."""
    chosen = [role for role in ROLES if role in roles]
    if not chosen or set(roles) - set(ROLES):
        raise CitylakeError("user.no_role", roles="、".join(roles) or "—", known="、".join(ROLES))
    if any(pair <= set(chosen) for pair in APART):
        raise CitylakeError("user.apart", roles="、".join(chosen))
    return chosen


def _require_other(by: User, name: str) -> None:
    if by.name == name:
        raise NotAllowed("user.own_account", actor=name)


def require_standing(connection: sa.Connection, name: str) -> None:
    """Raises CitylakeError unless a user is in office."""
    standing = (table.c.name == name) & table.c.ended.is_(None)
    if connection.execute(sa.select(table.c.name).where(standing)).first() is None:
        raise CitylakeError("user.gone", name=name)


def _require_administrator(connection: sa.Connection, name: str, roles: Sequence[str]) -> None:
    """Somebody must be left who can administer."""
    chain.take_place(connection, table)
    rows = connection.execute(sa.select(table.c.roles).where(table.c.ended.is_(None), table.c.name != name))
    if "administrator" not in roles and not any("administrator" in row.roles for row in rows):
        raise CitylakeError("user.last", name=name)


def _get(register: Register, name: str) -> User:
    (row,) = register.rows(sa.select(table).where(table.c.name == name))
    return user_of(row)


def user_of(row: Mapping[str, Any]) -> User:
    """A user from the row of the account."""
    times = {"created": as_utc(row["created"]), "ended": as_utc_or_none(row["ended"])}
    return User(**{**row, **times, "roles": tuple(row["roles"])})
