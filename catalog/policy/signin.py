"""Proving who somebody is: name, password and code, or what a provider shows, are tried here, and nowhere else.

Whatever is wrong, the answer is one and takes the same time: nobody learns which names there are, nor which are closed.
A try is counted before it is looked at, so that many at once are not more than many in a row.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from catalog.policy import audit, credentials, identities, logins, passwords, second_factor
from catalog.policy.callers import LOCK
from catalog.policy.decision import Reason
from catalog.policy.lockout import Lockout, Origin
from pipelines.contracts.forms.limits import SignInForm
from pipelines.messages import CitylakeError
from pipelines.register import Register
from pipelines.register.store import now
from pipelines.register.tables import account
from pipelines.register.tables import credential as table
from pipelines.register.times import as_utc_or_none

ACT: Final = "sign_in"
LONGEST_LOCK = timedelta(days=1)


@dataclass(frozen=True)
class Tried:
    """What became of a try: a `session`, or none; `wait`: seconds after which this network is looked at again."""

    session: str | None = None
    wait: int | None = None


class SignIn:
    """The door of one service. `key`: what second factors are sealed with; `form`: the city's rules."""

    def __init__(self, register: Register, key: Callable[[], bytes], form: Callable[[], SignInForm]) -> None:
        self._register = register
        self._key = key
        self._form = form
        self._lockout = Lockout()

    def with_password(self, name: str, password: str, code: str, origin: Origin) -> Tried:
        """Sign somebody in. Raises SQLAlchemyError, when the audit cannot be written; AuditUnavailable."""
        return self._tried(origin, lambda: self._try(name, password, code, None))

    def change_password(self, name: str, password: str, code: str, new: str, origin: Origin, words: list[str]) -> Tried:
        """Put a new password in place of the one that is shown; a session, all others end.

        Raises CitylakeError for a new one that is not good enough, to whom the present one is known; as
        `with_password`.
        """

        def stored() -> str:
            passwords.require_other(new, password)
            passwords.require_good(new, self._form().passwordLength, [name, *words])
            return passwords.hashed(new)

        return self._tried(origin, lambda: self._try(name, password, code, stored))

    def join(self, code: str, password: str, origin: Origin, words: list[str]) -> Tried:
        """Choose a password by an invitation. Raises CitylakeError for one not good enough; AuditUnavailable."""

        def by_code() -> str | None:
            asked = credentials.invited(self._register, code)
            if asked is None:
                audit.record(self._register, "user.join", "denied", {"road": "web"})
                return None
            return credentials.join(self._register, asked, password, self._form(), words)

        return self._tried(origin, by_code)

    def by_provider(self, shown: Callable[[], identities.Identity], origin: Origin) -> Tried:
        """Sign in whom a provider shows; why it shows nobody is the audit's to know. Raises AuditUnavailable."""

        def by_identity() -> str | None:
            try:
                return identities.enter(self._register, shown(), self._form())
            except identities.NotShown as error:
                body = {"road": "web", "reason": f"oidc.{error.problem}"}
                audit.record(self._register, ACT, "denied", body | ({"actor": error.name} if error.name else {}))
                return None

        return self._tried(origin, by_identity)

    def leave(self, person: logins.Person) -> None:
        """Sign somebody out."""
        logins.end(self._register, person)

    def _tried(self, origin: Origin, attempt: Callable[[], str | None]) -> Tried:
        found: list[str] = []

        def looks() -> bool:
            session = attempt()
            found.extend([] if session is None else [session])
            return session is not None

        right = self._lockout.look(origin, looks)
        if right is None:
            return Tried(wait=1)
        return Tried(found[0]) if right else Tried(wait=self._wrong(origin))

    def _wrong(self, origin: Origin) -> int | None:
        locked = self._lockout.failed(origin, None)
        if locked is None:
            return None
        if locked.network:
            try:
                said = {"reason": Reason.LOCKED.value, "wait": locked.wait, "network": origin.network}
                audit.record(self._register, LOCK, "denied", said)
            except audit.AuditUnavailable:
                self._lockout.untold(origin, None)
                raise
        return locked.wait

    def _try(self, name: str, password: str, code: str, new: Callable[[], str] | None) -> str | None:
        """One try: counted, looked at, told to the audit. `new`: the hash that takes the place of the password, asked
        for if the present one is right. Raises its CitylakeError; the try was a right one and its code counts still."""
        named = name if name.isprintable() and len(name) <= 64 else ""
        moment = now()
        with self._register.begin() as connection:
            known, row, closed = self._count(connection, named, moment)
        right = passwords.fits(None if row is None else row["password"], password)
        stored, problem = None, None
        if right and new is not None:
            try:
                stored = new()
            except CitylakeError as error:
                problem = error
        with self._register.begin() as connection:
            takes = problem is None
            method = self._proved(connection, row, code, moment, takes) if right and row is not None else None
            if method is not None and takes:
                return self._enter(connection, named, method, stored)
            if method is None:
                body: dict[str, Any] = {"road": "web", **({"actor": named} if known else {})}
                reason = "closed" if known and row is None else "wrong"
                audit.append(connection, ACT, "denied", {**body, "reason": reason})
                if closed:
                    said = {"actor": named, "reason": Reason.LOCKED.value, "until": closed.isoformat()}
                    audit.append(connection, LOCK, "denied", said)
        if method is not None and problem is not None:
            raise problem
        return None

    def _enter(self, connection: sa.Connection, name: str, method: logins.Method, stored: str | None) -> str:
        """Begin a session, with another password if there is one."""
        if stored is not None:
            credentials.change(connection, name, stored)
        session = logins.begin(connection, name, method, self._form())
        audit.append(connection, ACT, "allowed", {"road": "web", "actor": name})
        return session

    def _count(
        self, connection: sa.Connection, name: str, moment: datetime
    ) -> tuple[bool, Mapping[str, Any] | None, datetime | None]:
        """Count a try: whether there is such a user; their credential, unless they are closed; until when they are
        closed if this try is wrong and one too many."""
        open_now = (table.c.account == name) & (table.c.locked.is_(None) | (table.c.locked <= moment))
        counted = connection.execute(sa.update(table).where(open_now).values(wrong=table.c.wrong + 1)).rowcount
        wanted = sa.select(table, account.c.ended).join(account).where(table.c.account == name)
        found = connection.execute(wanted).mappings().first()
        row = None if found is None else dict(found)
        if row is None or not counted or row["ended"] is not None:
            return row is not None, None, None
        form = self._form()
        rounds, rest = divmod(row["wrong"], form.tries)
        if rest:
            return True, row, None
        span = min(timedelta(minutes=form.lockMinutes) * 2 ** min(rounds - 1, 12), LONGEST_LOCK)
        connection.execute(sa.update(table).where(table.c.account == name).values(locked=moment + span))
        return True, row, moment + span

    def _proved(
        self, connection: sa.Connection, row: Mapping[str, Any], code: str, moment: datetime, takes: bool
    ) -> logins.Method | None:
        """How a right password proves who it is, if the code is right too and neither changed meanwhile; wrong tries
        are forgotten. `takes`: the code counts no more."""
        name, step = row["account"], None
        same = (table.c.account == name) & (table.c.password == row["password"])
        same &= sa.exists().where(account.c.name == name, account.c.ended.is_(None))
        if as_utc_or_none(row["totp_since"]) is not None:
            secret = second_factor.unseal(self._key(), name, row["totp"])
            step = None if secret is None else second_factor.step(secret, code, moment, row["totp_step"])
            if step is None:
                return None
            same &= table.c.totp_step.is_(None) | (table.c.totp_step < step)
        else:
            same &= table.c.totp_since.is_(None)
        cleared = {"wrong": 0, "locked": None, **({"totp_step": step} if takes else {})}
        if not connection.execute(sa.update(table).where(same).values(**cleared)).rowcount:
            return None
        return "password" if step is None else "password_totp"
