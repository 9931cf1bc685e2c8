"""The audit: one row in a hash chain for every read, every denial and every act on recipients, tokens and grants.

A row says who, what, when, on which grant and how much; never a value of the data, never a token. If it cannot be
written there is no answer.
"""

import json
import logging
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, Literal, TypedDict, Unpack

import sqlalchemy as sa

from pipelines.register import Register, chain
from pipelines.register.chain import Entry
from pipelines.register.group import NotWritten, gathering, group
from pipelines.register.tables import audit as table

log = logging.getLogger(__name__)

Outcome = Literal["allowed", "denied", "not_found"]

ACTIONS: Final = frozenset(
    {
        *("preview", "download", "page", "report", "login"),
        *("share.list", "share.get", "schema.list", "table.list", "table.version", "table.metadata"),
        *("table.query", "table.changes", "file.read"),
        *("product.list", "product.get", "rows.read", "licence.verify", "table.deliver", "file.deliver"),
        *("recipient.create", "recipient.suspend", "recipient.lift", "organisation.suspend", "organisation.lift"),
        *("application.create", "token.issue", "token.rotate", "token.revoke", "token.exchange", "credential.lock"),
        *("grant.give", "grant.approve", "grant.revoke", "user.create", "user.change", "user.end"),
        *("release.propose", "release.approve", "release.refuse", "key.enrol", "key.end"),
        *("audit.read", "anomaly.list", "anomaly.settle", "pseudonym.rotate", "pseudonym.transition"),
        *("sealing.key", "head.accept"),
        *("product.withdraw", "product.reinstate", "recall.answer"),
        *("person.see", "person.correct", "person.erase", "person.lift", "erasure.check"),
        *("retention.apply", "retention.hold", "retention.release"),
        *("batch.confirm", "batch.reject", "batch.replay", "volume.confirm", "quarantine.export", "quarantine.return"),
        *("source.rewind", "across.export", "core.export", "layer.export", "evidence.export", "values.show"),
        "failing.show",
        *("linkage.review", "linkage.decide", "issue.verify", "issue.settle"),
        *("access.list", "token.renew"),
        *("identity.bind", "identity.unbind", "notice.acknowledge"),
        *("user.invite", "user.join", "password.change", "second_factor.set", "sign_in", "sign_out", "session.end"),
    }
)
"""What a row can be about; each has its name in both languages, `web.action.*`."""
ABOUT: Final = ("table.version", "table.metadata", "product.get")
"""Actions that name a version and show no row of it."""


_ROAD: ContextVar[str | None] = ContextVar("road", default=None)


class About(TypedDict, total=False):
    """Whom and what a row is about; whatever is left out is not known or not meant."""

    recipient: str | None
    product: str | None
    version: int | None
    grant: int | None
    application: str | None
    level: int | None


class AuditUnavailable(Exception):
    """The audit row could not be written, so the read must not be answered."""


@contextmanager
def by_road(road: str) -> Iterator[None]:
    """Rows written meanwhile that say no road themselves say this one: acts are the same whoever calls them."""
    before = _ROAD.set(road)
    try:
        yield
    finally:
        _ROAD.reset(before)


def record(
    register: Register,
    action: str,
    outcome: Outcome,
    body: dict[str, Any],
    **about: Unpack[About],
) -> None:
    """Append one row, together with those of others who wait; it is durable when this returns.

    Raises AuditUnavailable.
    """
    write(register, entry(action, outcome, body, **about))


def entry(action: str, outcome: Outcome, body: dict[str, Any], **about: Unpack[About]) -> Entry:
    """A row that is to be written."""
    return Entry(_row(action, outcome, about), chain.canonical(_said(body)))


def write(register: Register, row: Entry) -> None:
    """Append a row, as `record`. Raises AuditUnavailable."""
    try:
        group(register, table).append(register, [row])
    except NotWritten as error:
        raise _unavailable(error) from error


async def written(register: Register, row: Entry) -> bool:
    """The same for a coroutine, which waits without keeping a thread: whether the row stood, and so is there.

    Raises AuditUnavailable.
    """
    try:
        return await gathering(register, table).append(register, row)
    except NotWritten as error:
        raise _unavailable(error) from error


def _unavailable(error: NotWritten) -> AuditUnavailable:
    log.error("audit cannot be written: %s", type(error.__cause__).__name__)
    return AuditUnavailable()


def append(
    connection: sa.Connection,
    action: str,
    outcome: Outcome,
    body: dict[str, Any],
    **about: Unpack[About],
) -> None:
    """Append one row inside the caller's writing transaction."""
    chain.append(connection, table, _row(action, outcome, about), _said(body))


def _said(body: dict[str, Any]) -> dict[str, Any]:
    road = None if "road" in body else _ROAD.get()
    return body if road is None else {**body, "road": road}


def _row(action: str, outcome: Outcome, about: About) -> dict[str, Any]:
    if action not in ACTIONS:
        raise ValueError(f"{action} is not an action of the audit")
    return {
        "recipient": about.get("recipient"),
        "action": action,
        "product": about.get("product"),
        "version": about.get("version"),
        "outcome": outcome,
        "grant": about.get("grant"),
        "application": about.get("application"),
        "level": about.get("level"),
    }


def first_break(register: Register) -> int | None:
    """The first row that does not fit the hash chain, or None."""
    with register.engine.connect() as connection:
        return chain.first_break(connection, table)


def given(register: Register, product: str, versions: Collection[int] | None = None, naming: str = "") -> bool:
    """Whether a recipient was ever shown a row of a product; of one of these versions, by an audit row that has a
    text."""
    reads = (table.c.outcome == "allowed") & table.c.recipient.is_not(None) & table.c.version.is_not(None)
    shown = reads & table.c.action.not_in(ABOUT) & (table.c.product == product)
    query = sa.select(table.c.sequence).where(shown).limit(1)
    if versions is not None:
        query = query.where(table.c.version.in_(versions))
    if naming:
        query = query.where(table.c.body.contains(naming, autoescape=True))
    return bool(register.rows(query))


def sent_to(register: Register, delivery: str, action: str) -> bool:
    """Whether anything was ever sent by a delivery of this name."""
    named = table.c.body.contains(f'"delivery":{chain.canonical(delivery)}', autoescape=True)
    query = sa.select(table.c.sequence).where(table.c.action == action, table.c.outcome == "allowed", named)
    return bool(register.rows(query.limit(1)))


def recent(
    register: Register, limit: int = 100, recipient: str | None = None, product: str | None = None
) -> list[dict[str, Any]]:
    """The newest rows first, bodies as dictionaries."""
    query = sa.select(table).order_by(table.c.sequence.desc()).limit(limit)
    if recipient is not None:
        query = query.where(table.c.recipient == recipient)
    if product is not None:
        query = query.where(table.c.product == product)
    return [{**row, "body": json.loads(row["body"])} for row in register.rows(query)]
