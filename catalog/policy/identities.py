"""Who somebody is to an OpenID provider, bound to an account by an administrator. No account is made from what a
provider says, and no role.

Belongs here: binding, and beginning a session for whom a provider showed. Does not belong here: the provider's protocol
(`catalog.oidc`).
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa

from catalog.policy import audit, logins, users
from pipelines.contracts.forms.limits import SignInForm
from pipelines.messages import CitylakeError
from pipelines.register import Register, chain
from pipelines.register.store import now
from pipelines.register.tables import account
from pipelines.register.tables import identity as table
from pipelines.register.times import as_utc

Problem = Literal[
    "flow",
    "state",
    "refused",
    "unreachable",
    "answer",
    "code",
    "signature",
    "issuer",
    "audience",
    "expired",
    "nonce",
    "subject",
    "unbound",
    "ended",
    "second_factor",
]
"""Why a provider showed nobody; each has its text, `web.reason.oidc.*`."""
MOST = 255
"""Characters of an issuer or subject."""


@dataclass(frozen=True)
class Identity:
    """Whom a provider showed. `second_factor`: it says that more than one factor was shown."""

    issuer: str
    subject: str = field(repr=False)
    second_factor: bool


@dataclass(frozen=True)
class Bound:
    """An account's identity at a provider. `bound` is UTC."""

    account: str
    issuer: str
    bound: datetime
    bound_by: str


class NotShown(Exception):
    """A provider did not show who somebody is. `name`: the user it is about, None for nobody known."""

    def __init__(self, problem: Problem, name: str | None = None) -> None:
        self.problem = problem
        self.name = name
        super().__init__(problem)


def bind(register: Register, name: str, issuer: str, subject: str, *, actor: str) -> Bound:
    """Let a user sign in as a subject of a provider, in place of the one before; they are signed out everywhere.

    Raises CitylakeError for nobody in office, a subject that is none or is another user's; NotAllowed.
    """
    for value in (issuer, subject):
        if not 0 < len(value) <= MOST or not value.isprintable() or value != value.strip():
            raise CitylakeError("identity.bad", most=MOST)
    made = Bound(name, issuer, now(), actor)
    with users.acting(register, "identity.bind", actor) as (connection, _):
        users.require_standing(connection, name)
        chain.take_place(connection, table)
        taken = (table.c.issuer == issuer) & (table.c.subject == subject) & (table.c.account != name)
        if connection.execute(sa.select(table.c.account).where(taken)).first() is not None:
            raise CitylakeError("identity.taken")
        connection.execute(sa.delete(table).where(table.c.account == name, table.c.issuer == issuer))
        connection.execute(sa.insert(table).values(subject=subject, **vars(made)))
        users.end_sessions_of(connection, name)
        audit.append(connection, "identity.bind", "allowed", {"actor": actor, "user": name, "issuer": issuer})
    return made


def unbind(register: Register, name: str, *, actor: str) -> int:
    """Let a user sign in by no provider any more, and sign them out; returns how many identities they had.

    Raises CitylakeError for a user who has none; NotAllowed.
    """
    with users.acting(register, "identity.unbind", actor) as (connection, _):
        had = connection.execute(sa.delete(table).where(table.c.account == name)).rowcount
        if not had:
            raise CitylakeError("identity.none", name=name)
        users.end_sessions_of(connection, name)
        audit.append(connection, "identity.unbind", "allowed", {"actor": actor, "user": name})
    return had


def listed(register: Register, name: str | None = None) -> list[Bound]:
    """Who is bound to which provider, by name; of one user, if one is named."""
    wanted = sa.select(table.c.account, table.c.issuer, table.c.bound, table.c.bound_by).order_by(table.c.account)
    wanted = wanted if name is None else wanted.where(table.c.account == name)
    return [Bound(**{**row, "bound": as_utc(row["bound"])}) for row in register.rows(wanted)]


def enter(register: Register, shown: Identity, form: SignInForm) -> str:
    """Begin a session of the user whose identity was shown; the audit has it. Raises NotShown."""
    theirs = (table.c.issuer == shown.issuer) & (table.c.subject == shown.subject)
    # whoever unbinds it meanwhile waits, and ends the session; whoever was first leaves no row to read
    wanted = sa.select(account).join(table).where(theirs).with_for_update(of=table)
    with register.begin() as connection:
        row = connection.execute(wanted).mappings().first()
        if row is None:
            raise NotShown("unbound")
        user = users.user_of(dict(row))
        if user.ended is not None:
            raise NotShown("ended", user.name)
        if users.SECOND_FACTOR & set(user.roles) and not shown.second_factor:
            raise NotShown("second_factor", user.name)
        method: logins.Method = "provider_mfa" if shown.second_factor else "provider"
        session = logins.begin(connection, user.name, method, form)
        body: dict[str, Any] = {"road": "web", "actor": user.name, "issuer": shown.issuer}
        audit.append(connection, "sign_in", "allowed", body)
    return session
