"""What users do to recipients, tokens and grants, by command or API. Every act has an actor and is audited with it.

Checks that names exist; that limits mean something is checked in `limits`, whether a read is allowed is decided in
`decision`, whether an actor may act in `users`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from catalog.policy import audit, callers, keys, lineage, tokens, users
from catalog.policy.decision import Grant
from catalog.policy.limits import limits_of, needs_approval, require_effect, roads_of
from catalog.policy.proved import of_grant, terms
from pipelines.contracts.resolved import Contracts
from pipelines.messages import CitylakeError
from pipelines.register import Register, chain
from pipelines.register.signer import Signer
from pipelines.register.store import now
from pipelines.register.tables import access, application, recipient, token
from pipelines.register.tables import ledger as ledger_table
from pipelines.register.times import as_utc, as_utc_or_none
from pipelines.release.ledger import Ledger

SOON = timedelta(days=30)
"""How long before its end a token without a successor is pointed at."""
MOST_DAYS = 36_500
"""Nothing is given for longer than a hundred years."""
SCOPE = "read"
"""The one scope of OAuth clients: what they may read is what grants say."""
TOKEN_ENDPOINT = "/oauth/token"
"""Where OAuth clients get their access tokens, below the catalogue's address."""


@dataclass(frozen=True)
class Recipient:
    """Who receives data: a system or an office of an organisation. `created` is UTC."""

    name: str
    organisation: str
    created: datetime


@dataclass(frozen=True)
class Application:
    """What consumes data: a system of an organisation. `created` is UTC."""

    name: str
    organisation: str
    created: datetime


@dataclass(frozen=True)
class Token:
    """A token as the register knows it, without its secret. Times are UTC.

    `client`: it is an OAuth client, else a bearer token. `succeeds` and `successor`: ids of the tokens whose place it
    takes and which takes its own.
    """

    id: str
    recipient: str
    created: datetime
    expires: datetime
    revoked: datetime | None
    application: str | None
    client: bool
    succeeds: str | None
    successor: str | None

    def ends_soon(self, moment: datetime) -> bool:
        """Whether it is good, will not be in `SOON`, and nothing takes its place."""
        return self.revoked is None and self.successor is None and moment < self.expires <= moment + SOON


@dataclass(frozen=True)
class IssuedToken:
    """A new token; `token` is shown this once and kept nowhere. `succeeds`: the id of the one whose place it takes."""

    id: str
    recipient: str
    expires: datetime
    token: str = field(repr=False)
    succeeds: str | None = None


@dataclass(frozen=True)
class IssuedClient:
    """A new OAuth client; `client_secret` is shown this once and kept nowhere."""

    client_id: str
    recipient: str
    expires: datetime
    client_secret: str = field(repr=False)
    succeeds: str | None = None


def create_recipient(
    register: Register, contracts: Contracts, name: str, organisation: str, *, actor: str
) -> Recipient:
    """Enter a recipient. Raises CitylakeError for a name in use, a bad name or an unknown organisation; NotAllowed."""
    row = {"name": name, "organisation": organisation, "created": now()}
    try:
        with users.acting(register, "recipient.create", actor) as (connection, _):
            _require_names(contracts, name, organisation)
            connection.execute(sa.insert(recipient).values(**row))
            body = {"actor": actor, "organisation": organisation}
            audit.append(connection, "recipient.create", "allowed", body, recipient=name)
    except sa.exc.IntegrityError as error:
        raise CitylakeError("web.policy.recipient_exists", name=name) from error
    return Recipient(name, organisation, row["created"])  # type: ignore[arg-type]


def create_application(
    register: Register, contracts: Contracts, name: str, organisation: str, *, actor: str
) -> Application:
    """Enter an application. Raises CitylakeError for a name in use, a bad name or an unknown organisation.

    Raises NotAllowed.
    """
    row = {"name": name, "organisation": organisation, "created": now()}
    try:
        with users.acting(register, "application.create", actor) as (connection, _):
            _require_names(contracts, name, organisation)
            connection.execute(sa.insert(application).values(**row))
            body = {"actor": actor, "organisation": organisation}
            audit.append(connection, "application.create", "allowed", body, application=name)
    except sa.exc.IntegrityError as error:
        raise CitylakeError("application.exists", name=name) from error
    return Application(**row)  # type: ignore[arg-type]


def issue_token(
    register: Register,
    name: str,
    days: int = 90,
    application_name: str | None = None,
    *,
    actor: str,
    request: str | None = None,
) -> IssuedToken:
    """A new token of a recipient, good for `days`, for an application of the same organisation if one is named.

    `request`: what the actor calls this request; another one of that name issues nothing.
    Raises CitylakeError for an unknown recipient or application, no days and a request of before; NotAllowed.
    """
    made, expires = _issue(register, name, days, application_name, actor, request, client=False)
    return IssuedToken(made.id, name, expires, made.text)


def issue_client(
    register: Register,
    name: str,
    days: int = 90,
    application_name: str | None = None,
    *,
    actor: str,
    request: str | None = None,
) -> IssuedClient:
    """A new OAuth client of a recipient, with the same limits and errors as a token."""
    made, expires = _issue(register, name, days, application_name, actor, request, client=True)
    return IssuedClient(made.id, name, expires, made.secret)


def rotate_token(
    register: Register, token_id: str, overlap: timedelta, days: int = 90, *, actor: str
) -> IssuedToken | IssuedClient:
    """A successor, good for `days`, of a token or client, for the same application. The old one ends after `overlap`,
    or when it would have ended anyway if that is sooner; no `overlap` ends it at once.

    Raises CitylakeError for an unknown id, one that has ended or has a successor already, no days and an overlap below
    zero; NotAllowed.
    """
    if overlap < timedelta():
        raise CitylakeError("token.bad_overlap")
    life, fresh = timedelta(days=_days(days)), tokens.fresh()
    with users.acting(register, "token.rotate", actor) as (connection, _):
        old = standing(connection, token_id)
        return succeed(connection, old, fresh, overlap, life, "token.rotate", {"actor": actor})


def standing(connection: sa.Connection, token_id: str) -> dict[str, Any]:
    """The row of a token or client that can be given a successor, kept from others until the transaction ends.

    Raises CitylakeError for an unknown id, and one that has ended or has a successor already.
    """
    chain.take_place(connection, token)
    row = connection.execute(sa.select(token).where(token.c.id == token_id)).mappings().first()
    if row is None:
        raise CitylakeError("web.policy.no_token", token=token_id)
    if row["revoked"] is not None or as_utc(row["expires"]) <= now():
        raise CitylakeError("token.ended", token=token_id)
    later = connection.execute(sa.select(token.c.id).where(token.c.succeeds == token_id)).first()
    if later is not None:
        raise CitylakeError("token.succeeded", token=token_id, successor=later.id)
    return dict(row)


def succeed(
    connection: sa.Connection,
    old: Mapping[str, Any],
    fresh: tokens.Fresh,
    overlap: timedelta,
    life: timedelta,
    action: str,
    said: Mapping[str, Any],
) -> IssuedToken | IssuedClient:
    """A successor with a fresh secret, good for `life`, of a `standing` one. `action` and `said`: what the audit calls
    it, and of whom."""
    made, row = fresh.secret, _row(fresh, old["recipient"], life, old["application"], client=bool(old["client"]))
    connection.execute(sa.insert(token).values(**row, succeeds=old["id"]))
    ends = min(as_utc(old["expires"]), row["created"] + overlap)
    connection.execute(sa.update(token).where(token.c.id == old["id"]).values(expires=ends))
    about: audit.About = {"recipient": old["recipient"], "application": old["application"]}
    body = {**said, "token_id": old["id"], "successor": made.id, "expires": ends.isoformat()}
    audit.append(connection, "token.issue", "allowed", {**said, **_issued_body(row)}, **about)
    audit.append(connection, action, "allowed", body, **about)
    kind = IssuedClient if row["client"] else IssuedToken
    return kind(made.id, old["recipient"], row["expires"], made.secret if row["client"] else made.text, old["id"])


def revoke_token(register: Register, token_id: str, *, actor: str) -> Token:
    """End a token at once, and what renewals made of it: whoever stole it may have renewed it. Ending what has ended
    changes nothing. Raises CitylakeError for an unknown id; NotAllowed."""
    with users.acting(register, "token.revoke", actor) as (connection, _):
        chain.take_place(connection, token)
        row = connection.execute(sa.select(token).where(token.c.id == token_id)).mappings().first()
        if row is None:
            raise CitylakeError("web.policy.no_token", token=token_id)
        for one in [dict(row), *lineage.renewed_from(connection, token_id)]:
            if one["revoked"] is None:
                connection.execute(sa.update(token).where(token.c.id == one["id"]).values(revoked=now()))
                body = {"actor": actor, "token_id": one["id"]}
                body |= {} if one["id"] == token_id else {"renewed_from": token_id}
                audit.append(connection, "token.revoke", "allowed", body, recipient=one["recipient"])
    return next(item for item in list_tokens(register) if item.id == token_id)


def grant(
    register: Register,
    contracts: Contracts,
    name: str,
    product: str,
    *,
    purpose: str,
    days: int = 180,
    valid_from: datetime | None = None,
    divisions: Sequence[str] | None = None,
    organisations: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    case_number: str | None = None,
    roads: Sequence[str] | None = None,
    actor: str,
) -> Grant:
    """Let a recipient read a product for a purpose, from now or `valid_from` (UTC) for `days`.

    If it shows a column of a level that asks for approval it stays pending until another person approves it.

    `product` may be `MARTS`, the analysts' whole database, which cannot be limited.
    `divisions`: codes of divisions whose rows may be read, a city or county standing for all below it; None for all.
    `organisations`: codes of organisations whose rows may be read, `own` the recipient's own; None for all.
    `roads`: by which of `ROADS`; None for all.
    Raises CitylakeError for anything unknown, for limits on a product that everybody may have whole, and when a grant
    of the same product overlaps: it must be revoked first, so that revoking the narrower of two never leaves a wider
    one in force. Raises NotAllowed, also for a recipient of
    the actor's own organisation.
    """
    start = as_utc(valid_from) if valid_from else now()
    with users.acting(register, "grant.give", actor) as (connection, by):
        # within: who may not give any learns of no product and no column whether there is one
        own = _require_other_organisation(connection, by, name)
        limits = limits_of(contracts, product, divisions, columns, organisations, own)
        values = {
            "recipient": name,
            "product": product,
            **limits,
            "purpose": _purpose(purpose),
            "case_number": case_number,
            "valid_from": start,
            "valid_until": start + timedelta(days=_days(days)),
            "given_by": actor,
            "roads": roads_of(roads),
            "pending": needs_approval(contracts, product, limits["columns"]),
        }
        require_effect(contracts, product, values)
        chain.take_place(connection, access)
        _refuse_overlap(connection, values)
        key = connection.execute(sa.insert(access).values(**values)).inserted_primary_key
        assert key is not None
        _audit_grant(connection, "grant.give", actor, Grant(id=key[0], revoked=None, **_plain(values)))
    return next(item for item in list_grants(register, name, product) if item.id == key[0])


def approve_grant(register: Register, grant_id: int, signer: Signer | None = None, *, actor: str) -> Grant:
    """Put a pending grant in force, signed with the approver's own key from the first key on that was enrolled.

    Raises CitylakeError for one that is unknown or not pending, and where a signature is asked for and there is none or
    no key; NotAllowed, also for who gave it, for who is of the recipient's organisation and for a key not theirs.
    """
    ledger = Ledger(register)
    asked = next((one for one in list_grants(register) if one.id == grant_id), None)
    word = None if signer is None else keys.word(ledger, signer, None if asked is None else of_grant(asked), actor)
    with users.acting(register, "grant.approve", actor) as (connection, by):
        chain.take_place(connection, ledger_table)  # no key comes or ends meanwhile
        chain.take_place(connection, access)
        standing = _grant(connection, grant_id)
        if standing.given_by == actor:
            raise users.NotAllowed("user.own_request", actor=actor, grant=grant_id)
        _require_other_organisation(connection, by, standing.recipient)
        if not standing.pending or standing.revoked is not None:
            raise CitylakeError("user.not_pending", grant=grant_id)
        signed = keys.said_if_asked(ledger, word, of_grant(standing), actor, f"#{grant_id} {standing.product}")
        said = {"pending": False, "approver": actor, "approved": now()}
        connection.execute(sa.update(access).where(access.c.id == grant_id).values(**said))
        _audit_grant(connection, "grant.approve", actor, _grant(connection, grant_id), signed)
    return next(item for item in list_grants(register) if item.id == grant_id)


def revoke_grant(register: Register, grant_id: int, *, actor: str) -> Grant:
    """End a grant at once, or refuse a pending one; ending it again changes nothing.

    Raises CitylakeError for an unknown id; NotAllowed.
    """
    with users.acting(register, "grant.revoke", actor) as (connection, _):
        chain.take_place(connection, access)
        standing = _grant(connection, grant_id)
        if standing.revoked is None:
            connection.execute(sa.update(access).where(access.c.id == grant_id).values(revoked=now()))
            _audit_grant(connection, "grant.revoke", actor, standing)
    return next(item for item in list_grants(register) if item.id == grant_id)


def same_grant(register: Register, contracts: Contracts, standing: Grant, asked: Mapping[str, Any], actor: str) -> bool:
    """Whether a grant is what an actor asks for, in the words of `grant`: it was asked for before, then."""
    with register.begin() as connection:
        own = _require_recipient(connection, standing.recipient)
    words = (asked["divisions"], asked["columns"], asked["organisations"])
    limits = limits_of(contracts, standing.product, *words, own)
    limits["roads"] = roads_of(asked["roads"])
    same = all(getattr(standing, name) == (found and tuple(found)) for name, found in limits.items())
    told = (standing.purpose, standing.case_number, standing.given_by, standing.valid_until - standing.valid_from)
    return same and told == (_purpose(asked["purpose"]), asked["case_number"], actor, timedelta(days=asked["days"]))


def list_recipients(register: Register) -> list[Recipient]:
    """All recipients, by name."""
    rows = register.rows(sa.select(recipient).order_by(recipient.c.name))
    return [Recipient(row["name"], row["organisation"], as_utc(row["created"])) for row in rows]


def list_applications(register: Register) -> list[Application]:
    """All applications, by name."""
    rows = register.rows(sa.select(application).order_by(application.c.name))
    return [Application(row["name"], row["organisation"], as_utc(row["created"])) for row in rows]


def list_tokens(register: Register, name: str | None = None) -> list[Token]:
    """All tokens or those of one recipient, oldest first."""
    later = token.alias()
    successor = sa.select(later.c.id).where(later.c.succeeds == token.c.id).scalar_subquery().label("successor")
    query = sa.select(token, successor).order_by(token.c.created, token.c.id)
    if name is not None:
        query = query.where(token.c.recipient == name)
    return [
        Token(
            row["id"],
            row["recipient"],
            as_utc(row["created"]),
            as_utc(row["expires"]),
            as_utc_or_none(row["revoked"]),
            row["application"],
            bool(row["client"]),
            row["succeeds"],
            row["successor"],
        )
        for row in register.rows(query)
    ]


def list_grants(register: Register, name: str | None = None, product: str | None = None) -> list[Grant]:
    """All grants, or those of a recipient or product, oldest first."""
    return callers.load_grants(register, name, product)


def profile(issued: IssuedToken | IssuedClient, endpoint: str) -> dict[str, Any]:
    """The Delta Sharing profile of a token (version 1, bearer token) or client (version 2, OAuth client credentials);
    `endpoint` ends in `/delta-sharing`."""
    if isinstance(issued, IssuedClient):
        return {
            "shareCredentialsVersion": 2,
            "type": "oauth_client_credentials",
            "endpoint": endpoint,
            "tokenEndpoint": f"{endpoint.removesuffix('/delta-sharing')}{TOKEN_ENDPOINT}",
            "clientId": issued.client_id,
            "clientSecret": issued.client_secret,
            "scope": SCOPE,
        }
    expires = issued.expires.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return {
        "shareCredentialsVersion": 1,
        "endpoint": endpoint,
        "bearerToken": issued.token,
        "expirationTime": expires,
    }


def _row(fresh: tokens.Fresh, name: str, life: timedelta, application_name: str | None, client: bool) -> dict[str, Any]:
    created = now()
    row = {"id": fresh.secret.id, "recipient": name, "hash": fresh.hash, "created": created, "client": client}
    return {**row, "expires": created + life, "application": application_name}


def _issue(
    register: Register,
    name: str,
    days: int,
    application_name: str | None,
    actor: str,
    request: str | None,
    client: bool,
) -> tuple[tokens.Secret, datetime]:
    """A new token or client and when it ends; made before the register is kept from others."""
    life, fresh = timedelta(days=_days(days)), tokens.fresh(request and (actor, request))
    row = _row(fresh, name, life, application_name, client)
    with users.acting(register, "token.issue", actor) as (connection, _):
        _require_application(connection, application_name, _require_recipient(connection, name))
        chain.take_place(connection, token)
        if connection.execute(sa.select(token.c.id).where(token.c.id == row["id"])).first() is not None:
            raise CitylakeError("token.issued_before", token=row["id"])
        connection.execute(sa.insert(token).values(**row))
        body = {"actor": actor, **_issued_body(row)}
        audit.append(connection, "token.issue", "allowed", body, recipient=name, application=application_name)
    return fresh.secret, row["expires"]


def _issued_body(row: Mapping[str, Any]) -> dict[str, Any]:
    body = {"token_id": row["id"], "expires": row["expires"].isoformat()}
    return body | ({"client": True} if row["client"] else {})


def _purpose(purpose: str) -> str:
    if not purpose.strip():
        raise CitylakeError("web.policy.no_purpose")
    return purpose.strip()


def _days(days: int) -> int:
    if not 1 <= days <= MOST_DAYS:
        raise CitylakeError("web.policy.bad_days", days=days, most=MOST_DAYS)
    return days


def _require_names(contracts: Contracts, name: str, organisation: str) -> None:
    if not (0 < len(name) <= 64) or not name.isprintable() or name != name.strip():
        raise CitylakeError("web.policy.bad_name", name=name)
    if organisation not in contracts.codes["organisations"].rows:
        raise CitylakeError("web.policy.no_organisation", organisation=organisation)


def _require_recipient(connection: sa.Connection, name: str) -> str:
    """The organisation of a recipient."""
    row = connection.execute(sa.select(recipient.c.organisation).where(recipient.c.name == name)).first()
    if row is None:
        raise CitylakeError("web.policy.no_recipient", name=name)
    return str(row.organisation)


def _require_application(connection: sa.Connection, name: str | None, organisation: str) -> None:
    if name is None:
        return
    row = connection.execute(sa.select(application.c.organisation).where(application.c.name == name)).first()
    if row is None or row.organisation != organisation:
        raise CitylakeError("application.unknown", name=name, organisation=organisation)


def _require_other_organisation(connection: sa.Connection, by: users.User, name: str) -> str:
    """The organisation of a recipient, which is not the actor's."""
    organisation = _require_recipient(connection, name)
    if by.organisation == organisation:
        raise users.NotAllowed("user.own_organisation", actor=by.name, organisation=organisation)
    return organisation


def _grant(connection: sa.Connection, grant_id: int) -> Grant:
    row = connection.execute(sa.select(access).where(access.c.id == grant_id)).mappings().first()
    if row is None:
        raise CitylakeError("web.policy.no_grant", grant=grant_id)
    return callers.grant_of(dict(row))


def _refuse_overlap(connection: sa.Connection, values: dict[str, Any]) -> None:
    same = (access.c.recipient == values["recipient"]) & (access.c.product == values["product"])
    for row in connection.execute(sa.select(access).where(same & access.c.revoked.is_(None))).mappings():
        standing = callers.grant_of(dict(row))
        if standing.valid_from < values["valid_until"] and values["valid_from"] < standing.valid_until:
            raise CitylakeError("web.policy.overlap", grant=standing.id, product=standing.product)


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}


def _audit_grant(
    connection: sa.Connection, action: str, actor: str, given: Grant, signed: Mapping[str, Any] | None = None
) -> None:
    body = {**terms(given), "approver": given.approver, "pending": given.pending, "actor": actor, **(signed or {})}
    audit.append(connection, action, "allowed", body, recipient=given.recipient, product=given.product, grant=given.id)
