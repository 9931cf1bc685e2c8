"""Proving who somebody is: name, password and code are tried here, and nowhere else.

Whatever is wrong, the answer is one and takes the same time: nobody learns which names there are, nor which are closed.
A try is counted before it is looked at, so that many at once are not more than many in a row.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from catalog.policy import audit, credentials, logins, passwords, second_factor
from catalog.policy.callers import LOCK
from catalog.policy.decision import Reason
from catalog.policy.lockout import Lockout, Origin
from pipelines.contracts.models import SignInForm
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

        Raises CitylakeError for a new one that is not good enough; as `with_password`.
        """
        passwords.require_good(new, self._form().passwordLength, [name, *words])
        return self._tried(origin, lambda: self._try(name, password, code, passwords.hashed(new)))

    def join(self, code: str, password: str, origin: Origin, words: list[str]) -> Tried:
        """Choose a password by an invitation. Raises CitylakeError for one not good enough; AuditUnavailable."""

        def by_code() -> str | None:
            asked = credentials.invited(self._register, code)
            if asked is None:
                audit.record(self._register, "user.join", "denied", {"road": "web"})
                return None
            return credentials.join(self._register, asked, password, self._form(), words)

        return self._tried(origin, by_code)

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

    def _try(self, name: str, password: str, code: str, new: str | None) -> str | None:
        """One try: counted, looked at, told to the audit. `new`: the hash that takes the place of the password."""
        named = name if name.isprintable() and len(name) <= 64 else ""
        moment = now()
        with self._register.begin() as connection:
            known, row, closed = self._count(connection, named, moment)
        right = passwords.fits(None if row is None else row["password"], password)
        with self._register.begin() as connection:
            session = self._begin(connection, row, code, moment, new) if right and row is not None else None
            body: dict[str, Any] = {"road": "web", **({"actor": named} if known else {})}
            if session is None:
                body["reason"] = "closed" if known and row is None else "wrong"
            audit.append(connection, ACT, "denied" if session is None else "allowed", body)
            if closed and session is None:
                said = {"actor": named, "reason": Reason.LOCKED.value, "until": closed.isoformat()}
                audit.append(connection, LOCK, "denied", said)
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

    def _begin(
        self, connection: sa.Connection, row: Mapping[str, Any], code: str, moment: datetime, new: str | None
    ) -> str | None:
        """A session for a right password, if the code is right too and neither changed meanwhile."""
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
        cleared = {"wrong": 0, "locked": None, "totp_step": step}
        if not connection.execute(sa.update(table).where(same).values(**cleared)).rowcount:
            return None
        if new is not None:
            credentials.change(connection, name, new)
        return logins.begin(connection, name, "password" if step is None else "password_totp", self._form())
