"""Sessions of people: rows of the register, so that signing out, ending an account and new passwords act at once.

What the cookie names is random and only its hash is kept: whoever reads the register cannot take a session over.
Belongs here: beginning, finding and ending sessions. Does not belong here: proving who somebody is (`signin`).
"""

import hashlib
import logging
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from catalog.policy import audit, users
from pipelines.contracts.forms.limits import SignInForm
from pipelines.register import Register
from pipelines.register.store import now
from pipelines.register.tables import account, credential
from pipelines.register.tables import session as table
from pipelines.register.times import as_utc

log = logging.getLogger(__name__)

Method = Literal["password", "password_totp", "provider", "provider_mfa"]
Lack = Literal["second_factor", "password_old"]
SEEN_EVERY = timedelta(minutes=1)
"""How exactly it is kept when a page was last asked for."""


@dataclass(frozen=True)
class Person:
    """Somebody who is signed in. `lacks`: what they have to set right before anything but that is open to them."""

    user: users.User
    session: str
    method: str
    expires: datetime
    lacks: Lack | None

    @property
    def second_factor(self) -> bool:
        """Whether more than one factor was shown, here or at a provider."""
        return self.method in ("password_totp", "provider_mfa")

    @property
    def by_provider(self) -> bool:
        """Whether an OpenID provider showed who they are; no password of ours is meant then."""
        return self.method.startswith("provider")


def begin(connection: sa.Connection, name: str, method: Method, form: SignInForm) -> str:
    """Begin a session within a transaction; what the cookie names. Sessions of this user that are over go."""
    session, moment = secrets.token_hex(32), now()
    connection.execute(sa.delete(table).where(table.c.account == name, table.c.expires < moment))
    expires = moment + timedelta(hours=form.hours)
    row = {"account": name, "method": method, "began": moment, "seen": moment, "expires": expires}
    connection.execute(sa.insert(table).values(id=_hash(session), **row))
    return session


def find(register: Register, session: str, form: SignInForm) -> Person | None:
    """Who is signed in by a session, None if it is over: ended, too old, left alone too long, or the account ended."""
    moment = now()
    password = sa.select(credential.c.changed).where(credential.c.account == account.c.name).scalar_subquery()
    wanted = sa.select(table, password.label("changed")).join(account).where(table.c.id == _hash(session))
    wanted = wanted.where(table.c.ended.is_(None), account.c.ended.is_(None))
    found = register.rows(wanted)
    if not found:
        return None
    row = found[0]
    seen = as_utc(row["seen"])
    if moment >= as_utc(row["expires"]) or moment >= seen + timedelta(minutes=form.idleMinutes):
        return None
    if moment >= seen + SEEN_EVERY:
        _keep_seen(register, row["id"], moment)
    (who,) = register.rows(sa.select(account).where(account.c.name == row["account"]))
    user = users.user_of(who)
    if users.SECOND_FACTOR & set(user.roles) and row["method"] == "provider":
        return None  # a role was given since: the provider is asked again
    return Person(user, session, row["method"], as_utc(row["expires"]), _lacks(user, row, form, moment))


def end(register: Register, person: Person) -> None:
    """Sign somebody out, unless something else ended the session already."""
    theirs = (table.c.id == _hash(person.session)) & table.c.ended.is_(None)
    with register.begin() as connection:
        if connection.execute(sa.update(table).where(theirs).values(ended=now())).rowcount:
            audit.append(connection, "sign_out", "allowed", {"actor": person.user.name, "road": "web"})


def _keep_seen(register: Register, session: str, moment: datetime) -> None:
    """Pages look people up, those that tell of an error too: what cannot be written only ends a session earlier."""
    try:
        with register.begin() as connection:
            connection.execute(sa.update(table).where(table.c.id == session).values(seen=moment))
    except SQLAlchemyError as error:
        log.warning("when a session was seen last cannot be written: %s", type(error).__name__)


def _lacks(user: users.User, row: dict[str, Any], form: SignInForm, moment: datetime) -> Lack | None:
    if users.SECOND_FACTOR & set(user.roles) and row["method"] == "password":
        return "second_factor"
    if form.passwordDays is None or row["changed"] is None or row["method"].startswith("provider"):
        return None
    return "password_old" if moment >= as_utc(row["changed"]) + timedelta(days=form.passwordDays) else None


def _hash(session: str) -> str:
    return hashlib.sha256(session.encode()).hexdigest()
