"""What people sign in with: invitations to choose a password, passwords, second factors. Every act is audited.

Belongs here: giving and changing them. Does not belong here: trying them (`signin`).
"""

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from catalog.policy import audit, logins, passwords, second_factor, users
from catalog.policy.tokens import HASHER, hash_fits
from pipelines.contracts.forms.limits import SignInForm
from pipelines.messages import CitylakeError
from pipelines.register import Register, chain
from pipelines.register.store import now
from pipelines.register.tables import account, invitation
from pipelines.register.tables import credential as table
from pipelines.register.times import as_utc

PAGE = "/join"
"""Where an invitation is used, below the catalogue's address."""
MOST_HOURS = 24 * 14
ENROL = timedelta(hours=24)
"""How long after the invitation by which a password was chosen a second factor may be set up: a password alone, found
or guessed later, makes none."""
_CODE = re.compile(r"ci_([0-9a-f]{16})_([0-9a-f]{64})", re.ASCII)


@dataclass(frozen=True)
class Invitation:
    """A new invitation; `code` is shown this once and kept nowhere. `expires` is UTC."""

    account: str
    expires: datetime
    code: str = field(repr=False)


def invite(register: Register, name: str, hours: int = 72, *, actor: str) -> Invitation:
    """A code by which a user chooses a password, once, within `hours`; earlier ones of that user end.

    Raises CitylakeError for nobody in office and for a time that is none; NotAllowed.
    """
    if not 1 <= hours <= MOST_HOURS:
        raise CitylakeError("signin.hours", most=MOST_HOURS)
    number, secret, moment = secrets.token_hex(8), secrets.token_hex(32), now()
    made = Invitation(name, moment + timedelta(hours=hours), f"ci_{number}_{secret}")
    row = {"account": name, "created": moment, "created_by": actor, "expires": made.expires}
    stored = HASHER.hash(secret)
    with users.acting(register, "user.invite", actor) as (connection, _):
        users.require_standing(connection, name)
        earlier = (invitation.c.account == name) & invitation.c.used.is_(None)
        connection.execute(sa.update(invitation).where(earlier).values(used=moment))
        connection.execute(sa.insert(invitation).values(id=number, hash=stored, **row))
        body = {"actor": actor, "user": name, "expires": made.expires.isoformat()}
        audit.append(connection, "user.invite", "allowed", body)
    return made


def invited(register: Register, code: str) -> dict[str, Any] | None:
    """The invitation whose code this is, None if it is none that can be used."""
    found = _CODE.fullmatch(code.strip())
    if found is None:
        return None
    wanted = sa.select(invitation).join(account).where(invitation.c.id == found[1], invitation.c.used.is_(None))
    rows = register.rows(wanted.where(account.c.ended.is_(None)))
    if not rows or now() >= as_utc(rows[0]["expires"]):
        return None
    return rows[0] if hash_fits(rows[0]["hash"], found[2]) else None


def join(register: Register, asked: dict[str, Any], password: str, form: SignInForm, words: list[str]) -> str | None:
    """Choose a password by an invitation that was `invited`; a session. A second factor of before counts no more, and
    whoever is signed in is signed out. None: the invitation was used meanwhile.

    Raises CitylakeError for a password that is not good enough.
    """
    name, moment = asked["account"], now()
    passwords.require_good(password, form.passwordLength, [name, *words])
    stored = passwords.hashed(password)
    fresh = {"password": stored, "changed": moment, "wrong": 0, "locked": None}
    fresh |= {"totp": None, "totp_since": None, "totp_step": None}
    with register.begin() as connection:
        unused = (invitation.c.id == asked["id"]) & invitation.c.used.is_(None) & (invitation.c.expires > moment)
        if not connection.execute(sa.update(invitation).where(unused).values(used=moment)).rowcount:
            return None
        users.require_standing(connection, name)
        chain.take_place(connection, table)
        if not connection.execute(sa.update(table).where(table.c.account == name).values(**fresh)).rowcount:
            connection.execute(sa.insert(table).values(account=name, **fresh))
        users.end_sessions_of(connection, name)
        audit.append(connection, "user.join", "allowed", {"actor": name, "road": "web"})
        return logins.begin(connection, name, "password", form)


def change(connection: sa.Connection, name: str, stored: str) -> None:
    """Put another password's hash in place within a transaction, and sign the user out everywhere."""
    counts = sa.case((table.c.totp_since.is_not(None), table.c.totp))  # else somebody else may have seen the secret
    fresh = {"password": stored, "changed": now(), "totp": counts}
    connection.execute(sa.update(table).where(table.c.account == name).values(**fresh))
    users.end_sessions_of(connection, name)
    audit.append(connection, "password.change", "allowed", {"actor": name, "road": "web"})


@dataclass(frozen=True)
class SecondFactors:
    """Setting up second factors in one register. `key`: what secrets are sealed with."""

    register: Register
    key: Callable[[], bytes]

    def pending(self, name: str) -> str | None:
        """The secret that a user is setting up, None if there is none."""
        return self._pending(name)[1]

    def open_for(self, name: str) -> bool:
        """Whether a user may set one up: an administrator's invitation gave them the password they have, lately."""
        return bool(self.register.rows(sa.select(table.c.account).where(self._lately_invited(name))))

    @staticmethod
    def _lately_invited(name: str) -> sa.ColumnElement[bool]:
        chosen = (invitation.c.account == name) & (invitation.c.used == table.c.changed)
        lately = sa.exists().where(chosen, invitation.c.used > now() - ENROL)
        return (table.c.account == name) & table.c.totp_since.is_(None) & lately

    def _pending(self, name: str) -> tuple[str | None, str | None]:
        """The same, with how it is sealed."""
        found = self.register.rows(sa.select(table.c.totp).where(self._lately_invited(name)))
        sealed = found[0]["totp"] if found else None
        return sealed, None if sealed is None else second_factor.unseal(self.key(), name, sealed)

    def counts(self, name: str) -> bool:
        """Whether a user has a second factor."""
        wanted = sa.select(table.c.account).where(table.c.account == name, table.c.totp_since.is_not(None))
        return bool(self.register.rows(wanted))

    def begin(self, name: str) -> None:
        """Make a secret to set up: whoever saw one before that does not count yet has nothing. One that counts is
        replaced by an invitation alone."""
        sealed = second_factor.seal(self.key(), name, second_factor.make())
        with self.register.begin() as connection:
            connection.execute(sa.update(table).where(self._lately_invited(name)).values(totp=sealed))

    def confirm(self, name: str, code: str, form: SignInForm) -> str | None:
        """Let the secret count from now on, shown by its present code; a session that has it, all others end. None for
        a wrong code."""
        (sealed, secret), moment = self._pending(name), now()
        step = None if secret is None else second_factor.step(secret, code, moment, None)
        if step is None:
            return None
        with self.register.begin() as connection:
            waits = (table.c.account == name) & table.c.totp_since.is_(None) & (table.c.totp == sealed)
            counts = {"totp_since": moment, "totp_step": step}
            if not connection.execute(sa.update(table).where(waits).values(**counts)).rowcount:
                return None
            users.end_sessions_of(connection, name)
            audit.append(connection, "second_factor.set", "allowed", {"actor": name, "road": "web"})
            return logins.begin(connection, name, "password_totp", form)
