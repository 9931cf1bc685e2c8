"""Who is asking: from a token or a session to a caller with the grants in the register. Decides nothing.

What the register said of a token is remembered while the register's `basis` shows that it would say the same again
(decision 0066); whether the token has ended and what it may read is decided anew every time.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from catalog.policy import audit, epochs, suspension, tokens
from catalog.policy.decision import ANONYMOUS, Caller, Grant, Reason
from catalog.policy.lockout import Locked, Lockout, Origin
from pipelines.register import Register
from pipelines.register.store import now
from pipelines.register.tables import access as access_table
from pipelines.register.tables import recipient as recipient_table
from pipelines.register.tables import token as token_table
from pipelines.register.times import as_utc, as_utc_or_none
from pipelines.waits import waits

PUBLIC_TOKEN = "public"
"""What clients that insist on a token send for the open share; it means no token at all."""

LOCK = "credential.lock"
"""What the audit calls the moment from which more wrong credentials are refused."""

From = Callable[[], Origin]

REMEMBER = timedelta(seconds=60)
"""How long what the register said is good at most: also whoever writes to it past its triggers is heard."""
REMEMBER_MOST = 4_096
"""Tokens remembered."""

_OF_TOKEN = (
    sa.select(
        token_table,
        recipient_table.c.organisation,
        suspension.of_recipient(token_table.c.recipient).label("suspended"),
        *epochs.in_force(token_table.c.recipient, sa.bindparam("moment")),
    )
    .join(recipient_table)
    .where(token_table.c.id == sa.bindparam("id"))
)
_OF_RECIPIENT = (
    sa.select(access_table).where(access_table.c.recipient == sa.bindparam("recipient")).order_by(access_table.c.id)
)


@dataclass(frozen=True)
class _Found:
    """A token's row and its caller, without what the moment makes of it. Read when the register's number was `basis`,
    from `since` on; it tells of nothing from `until` on."""

    row: dict[str, Any]
    caller: Caller
    basis: int | None
    since: datetime
    until: datetime

    def stands(self, basis: int | None, moment: datetime) -> bool:
        """Whether the register would say the same now. It says so of no clock that went back."""
        return basis is not None and basis == self.basis and self.since <= moment < self.until


class _Memory:
    """What was found of tokens that there are, the ones asked for last. Safe to use from many threads."""

    def __init__(self) -> None:
        self._found: OrderedDict[str, _Found] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, token_id: str, basis: int | None, moment: datetime) -> _Found | None:
        """What is remembered of a token and still stands."""
        with self._lock:
            found = self._found.get(token_id)
            if found is None or not found.stands(basis, moment):
                return None
            self._found.move_to_end(token_id)
            return found

    def keep(self, token_id: str, found: _Found) -> None:
        """Remember it, and forget what nobody asked for longest."""
        with self._lock:
            self._found[token_id] = found
            self._found.move_to_end(token_id)
            while len(self._found) > REMEMBER_MOST:
                self._found.popitem(last=False)


class Callers:
    """Identifies callers. The register is asked every time whether anything has changed, so that a revocation or
    suspension acts at once.

    `key`: what access tokens of OAuth clients are signed with.
    """

    def __init__(self, register: Register, key: Callable[[], bytes]) -> None:
        self._register = register
        self._key = key
        self._verifier = tokens.Verifier()
        self._lockout = Lockout()
        self._memory = _Memory()

    def from_token(self, text: str | None, origin: From | None = None) -> Caller:
        """The caller who shows a token; anonymous without one, a caller with a problem for a bad one.

        `origin` tells where it comes from, None for what nobody sent; what was good a moment ago is not asked it.
        Raises AuditUnavailable, when a lock begins.
        """
        if text is None or text.strip() in ("", PUBLIC_TOKEN):
            return ANONYMOUS
        if access := tokens.parse_access(text):
            return self._from_access(access, origin)
        return self._from_secret(tokens.parse(text), False, origin)

    def from_client(self, client_id: str, client_secret: str, origin: From | None = None) -> Caller:
        """The caller whose OAuth client shows its credentials, a caller with a problem for bad ones.

        Raises AuditUnavailable, when a lock begins.
        """
        return self._from_secret(tokens.of_client(client_id, client_secret), True, origin)

    def access_token(self, client: Caller) -> tuple[str, int]:
        """An access token for a caller `from_client` without a problem, and the seconds it is good for."""
        assert client.token is not None and client.expires is not None
        moment = now()
        expires = int(min(moment.timestamp() + tokens.ACCESS_SECONDS, client.expires.timestamp()))
        return tokens.access_token(self._key(), client.token, expires), max(0, expires - int(moment.timestamp()))

    def from_token_id(self, token_id: str) -> Caller:
        """The caller behind a token that was checked before: a signed-in person, or the holder of a signed address."""
        found = self._token(token_id)
        return _caller(found, now()) if found else Caller(problem=Reason.TOKEN_INVALID)

    def on_behalf(self, recipient: str) -> Caller:
        """A recipient whom the city delivers to by itself: no token is shown, grants and suspensions count the same."""
        asked = recipient_table.alias()
        suspended = suspension.of_recipient(asked.c.name).label("suspended")
        epoch = epochs.in_force(asked.c.name, now())
        found = self._register.rows(sa.select(asked.c.organisation, suspended, *epoch).where(asked.c.name == recipient))
        if not found:
            return Caller(problem=Reason.TOKEN_INVALID)  # a grant that is missing only stops a delivery
        grants, problem = self._grants(recipient), Reason.SUSPENDED if found[0]["suspended"] else None
        whose, epoch_now = found[0]["organisation"], epochs.epoch_of(found[0])
        return Caller(recipient=recipient, grants=grants, problem=problem, organisation=whose, epoch=epoch_now)

    def _from_secret(self, shown: tokens.Secret | None, client: bool, origin: From | None) -> Caller:
        """A client's secret is no bearer token, and the other way round: each is shown where it belongs."""
        found = self._token(shown.id) if shown else None
        if shown is None or found is None or bool(found.row["client"]) is not client:
            return self._wrong(found, origin)
        fits = self._fits(shown, found.row["hash"], origin)
        if fits is None:
            return Caller(problem=Reason.LOCKED, wait=1)
        return _caller(found, now()) if fits else self._wrong(found, origin)

    def _fits(self, shown: tokens.Secret, stored: str, origin: From | None) -> bool | None:
        """None: it was not looked at. What was good a moment ago is dear to nobody."""
        if origin is None or self._verifier.remembers(shown, stored):
            return self._verifier.fits(shown, stored)
        return self._lockout.look(origin(), lambda: self._verifier.fits(shown, stored))

    def _wrong(self, found: _Found | None, sent: From | None) -> Caller:
        """A wrong credential, which may name a token that there is. A lock is told to the audit when it begins."""
        waits()  # it is counted once
        row, origin = found.row if found else None, sent() if sent else None
        locked = None if origin is None else self._lockout.failed(origin, row["id"] if row else None)
        if origin is None or locked is None:
            return Caller(problem=Reason.TOKEN_INVALID)
        try:
            self._tell(locked, row, origin)
        except audit.AuditUnavailable:
            self._lockout.untold(origin, row["id"] if row else None)
            raise
        return Caller(problem=Reason.LOCKED, wait=locked.wait)

    def _tell(self, locked: Locked, row: dict[str, Any] | None, origin: Origin) -> None:
        said: dict[str, Any] = {"reason": Reason.LOCKED.value, "wait": locked.wait}
        if locked.network:
            audit.record(self._register, LOCK, "denied", {**said, "network": origin.network})
        if locked.named and row is not None:
            about: audit.About = {"recipient": row["recipient"], "application": row["application"]}
            audit.record(self._register, LOCK, "denied", {**said, "token_id": row["id"]}, **about)

    def _from_access(self, access: tokens.Access, origin: From | None) -> Caller:
        found = self._token(access.client)
        if found is None or not found.row["client"] or not access.signed_with(self._key()):
            return self._wrong(found, origin)
        moment, expires = now(), datetime.fromtimestamp(access.expires, UTC)
        caller = _caller(found, moment)
        problem = caller.problem or (Reason.TOKEN_EXPIRED if moment >= expires else None)
        return replace(caller, expires=expires, problem=problem, exchanged=True)

    def _token(self, token_id: str) -> _Found | None:
        """What the register says of a token. Its number is read first: whatever is written meanwhile moves it."""
        basis, moment = self._register.basis(), now()
        known = self._memory.get(token_id, basis, moment)
        if known is not None:
            return known
        rows = self._register.rows(_OF_TOKEN, id=token_id, moment=moment)
        if not rows:
            return None
        found = self._found(rows[0], basis, moment)
        self._memory.keep(token_id, found)
        return found

    def _found(self, row: dict[str, Any], basis: int | None, moment: datetime) -> _Found:
        caller = Caller(
            recipient=row["recipient"],
            token=row["id"],
            expires=as_utc(row["expires"]),
            grants=self._grants(row["recipient"]),
            application=row["application"],
            organisation=row["organisation"],
            epoch=epochs.epoch_of(row),
        )
        until = min(moment + REMEMBER, as_utc_or_none(row["epoch_until"]) or moment + REMEMBER)
        return _Found(row, caller, basis, moment, until)

    def _grants(self, recipient: str) -> tuple[Grant, ...]:
        return tuple(grant_of(row) for row in self._register.rows(_OF_RECIPIENT, recipient=recipient))


def load_grants(register: Register, recipient: str | None = None, product: str | None = None) -> list[Grant]:
    """The grants of a recipient, of a product, or all, in the order they were given."""
    query = sa.select(access_table).order_by(access_table.c.id)
    if recipient is not None:
        query = query.where(access_table.c.recipient == recipient)
    if product is not None:
        query = query.where(access_table.c.product == product)
    return [grant_of(row) for row in register.rows(query)]


def grant_of(row: dict[str, Any]) -> Grant:
    """A grant from its row in the register."""
    return Grant(
        id=row["id"],
        recipient=row["recipient"],
        product=row["product"],
        divisions=None if row["divisions"] is None else tuple(row["divisions"]),
        columns=None if row["columns"] is None else tuple(row["columns"]),
        purpose=row["purpose"],
        case_number=row["case_number"],
        valid_from=as_utc(row["valid_from"]),
        valid_until=as_utc(row["valid_until"]),
        revoked=as_utc_or_none(row["revoked"]),
        given_by=row["given_by"],
        approver=row["approver"],
        pending=bool(row["pending"]),
        roads=None if row["roads"] is None else tuple(row["roads"]),
        organisations=None if row["organisations"] is None else tuple(row["organisations"]),
    )


def _caller(found: _Found, moment: datetime) -> Caller:
    """Who was found, as they stand at a moment."""
    problem = _problem(found, moment)
    return found.caller if problem is None else replace(found.caller, problem=problem)


def _problem(found: _Found, moment: datetime) -> Reason | None:
    assert found.caller.expires is not None
    if found.row["revoked"] is not None:
        return Reason.TOKEN_REVOKED
    if moment >= found.caller.expires:
        return Reason.TOKEN_EXPIRED
    return Reason.SUSPENDED if found.row["suspended"] else None
