"""Who received a row, or a column of it, of released versions, as far as the audit proves it.

Belongs here: reading the audit and the receipts of deliveries, and how surely each row of them says it. Does not belong
here: in which versions the row stands (pipelines/release/forward), and telling anybody (corrections).
"""

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import IntEnum
from typing import Any

import sqlalchemy as sa

from catalog.policy import inquiry
from catalog.policy.audit import ABOUT
from catalog.policy.decision import MARTS
from pipelines.register import Register
from pipelines.register.receipts import Receipts, Stage
from pipelines.register.tables import audit as table
from pipelines.register.tables import recipient as recipients
from pipelines.register.times import as_utc
from pipelines.release.ledger import RELEASE, WITHDRAWAL, Ledger

ADDRESSES = ("table.query", "table.changes")
"""Actions that answer with addresses of files; who fetches one is a row of its own."""
DELIVERIES = ("table.deliver", "file.deliver")
KEPT = 10_000
"""Receipts of a delivery that are looked through."""


class Sure(IntEnum):
    """What the audit proves; the greater says more. `USED`: the answer depends on the column (a filter, an order, a
    count), which was not in it. `PART`: some rows were given with the column, or values made of them; the audit keeps
    how many, not which.
    `WHOLE`: everything that may be seen of the version was given, this row among it."""

    USED = 1
    PART = 2
    WHOLE = 3


Codes = tuple[str, ...] | None
"""A limit of rows, None for none."""


@dataclass(frozen=True)
class Place:
    """A row in one version of a product. `column`: None for any column. `divisions`: what the row says in the column
    that grants are limited by, None if there is none; `organisations`: the same of whose it is; `by`: these columns.
    `visible`: how many rows of the version lie in divisions and are of organisations (None: of all), None if that
    cannot be counted any more. `lookups`: if rows are given by single keys, the marks under which
    the audit keeps questions for this row, and what one of them proves."""

    product: str
    version: int
    column: str | None
    divisions: tuple[str | None, ...] | None
    visible: Callable[[Codes, Codes], int | None]
    lookups: Mapping[str, Sure] = field(default_factory=dict)
    organisations: tuple[str | None, ...] | None = None
    by: Mapping[str, str | None] = field(default_factory=dict)

    def within(self, body: Mapping[str, Any]) -> bool | None:
        """Whether an audited read can have held it by its limits; of several rows with its key, any. None if the limits
        go by another column than the place knows of, as after a contract names another one, or none any more, or if
        the audit does not say by which, as it did not always."""
        held, known = [], True
        for limit, values in (("divisions", self.divisions), ("organisations", self.organisations)):
            codes = _codes(body, limit)
            if codes is None:
                continue
            if values is None or body.get("limited_by", {}).get(limit) != self.by.get(limit):
                known = False
                continue
            fits = [
                one is not None and (one.startswith(codes) if limit == "divisions" else one in codes) for one in values
            ]
            held.append(fits)
        if held and not any(map(all, zip(*held, strict=True))):
            return False
        return True if known else None


@dataclass(frozen=True)
class Received:
    """That somebody received a version's row by a road: how surely, in how many reads, first and last when (UTC).
    `recipient` None: the public, or the command line (`road` says which)."""

    recipient: str | None
    organisation: str | None
    application: str | None
    product: str
    version: int
    road: str
    sure: Sure
    reads: int
    first: datetime
    last: datetime


def receivers(register: Register, places: Collection[Place]) -> list[Received]:
    """Who received rows at these places, by recipient, version and road; a read that cannot have held one is none."""
    found: dict[tuple[Any, ...], Received] = {}
    for product in sorted({place.product for place in places}):
        mine = {place.version: place for place in places if place.product == product}
        for one in [*_of_product(register, product, mine), *_of_marts(register, product, mine)]:
            key = (one.product, one.version, one.recipient or "", one.application or "", one.road)
            known = found.get(key)
            found[key] = one if known is None else _together(known, one)
    return [found[key] for key in sorted(found)]


def _together(one: Received, other: Received) -> Received:
    return replace(
        one,
        sure=max(one.sure, other.sure),
        reads=one.reads + other.reads,
        first=min(one.first, other.first),
        last=max(one.last, other.last),
    )


def _of_product(register: Register, product: str, places: Mapping[int, Place]) -> Iterator[Received]:
    named = table.outerjoin(recipients, recipients.c.name == table.c.recipient)
    read = (table.c.product == product) & table.c.version.in_(places) & (table.c.outcome == "allowed")
    query = sa.select(table, recipients.c.organisation).select_from(named)
    query = query.where(read, table.c.action.not_in((*ABOUT, *ADDRESSES))).order_by(table.c.sequence)
    arrived: dict[str, set[int]] = {}
    for row in inquiry.that_gave(register, query):
        body = json.loads(row["body"])
        sure = _sure(row["action"], body, places[row["version"]])
        if row["action"] in DELIVERIES and sure is Sure.WHOLE:
            name = str(body.get("delivery"))
            if name not in arrived:
                arrived[name] = _arrived(register, name, product)
            sure = Sure.WHOLE if row["version"] in arrived[name] else Sure.PART
        if sure is not None:
            yield _received(row, body, product, row["version"], sure)


def _of_marts(register: Register, product: str, places: Mapping[int, Place]) -> Iterator[Received]:
    """Who downloaded the analysts' database: it is given only while it holds just what is published."""
    if not product.startswith("analyst/"):
        return
    history = [one for one in reversed(Ledger(register).history(product, 100_000)) if one.kind in (RELEASE, WITHDRAWAL)]
    named = table.outerjoin(recipients, recipients.c.name == table.c.recipient)
    read = (table.c.product == MARTS) & (table.c.outcome == "allowed") & (table.c.action == "download")
    query = sa.select(table, recipients.c.organisation).select_from(named).where(read).order_by(table.c.sequence)
    for row in inquiry.that_gave(register, query):
        body, at = json.loads(row["body"]), as_utc(row["at"])
        before = [one for one in history if as_utc(one.at) <= at]
        newest = before[-1] if before else None
        version = newest.version if newest is not None and newest.kind == RELEASE else None
        if version is None or version not in places:
            continue
        sure = Sure.WHOLE if body.get("range") is None else Sure.PART
        yield _received(row, body, product, version, sure)


def _sure(action: str, body: Mapping[str, Any], place: Place) -> Sure | None:
    """What an audited answer proves of the row at a place; None if it cannot have held it."""
    if (within := place.within(body)) is False:
        return None
    if body.get("rows") == 0 and action not in DELIVERIES:
        return None
    columns = body.get("columns")
    if place.column is not None and columns is not None and place.column not in columns:
        if place.column not in body.get("used", ()):
            return None
        shows = {f"{function}_{place.column}" for function in ("min", "max", "sum", "avg")}  # of one row: its value
        return Sure.USED if shows.isdisjoint(body.get("aggregates", ())) else Sure.PART
    if "licence" in body:  # one key was asked for; only a genuine one is shown
        return place.lookups.get(body["licence"]) if body.get("verdict") == "genuine" else None
    if within is None or "aggregates" in body or body.get("range") is not None:
        return Sure.PART
    if action in ("download", *DELIVERIES):
        return Sure.WHOLE
    if action == "file.read":
        return Sure.WHOLE if body.get("of") == body.get("rows") and body.get("since") is None else Sure.PART
    visible = place.visible(_codes(body, "divisions"), _codes(body, "organisations"))
    return Sure.WHOLE if visible is not None and body.get("rows") == visible else Sure.PART


def _codes(body: Mapping[str, Any], limit: str) -> Codes:
    return None if body.get(limit) is None else tuple(body[limit])


def _arrived(register: Register, delivery: str, product: str) -> set[int]:
    """The versions that a delivery brought, as its signed receipts say."""
    found = set()
    for one in Receipts(register, "forward").of_stage(Stage.DELIVERY, delivery, KEPT):
        said = json.loads(one.body["statement"])
        if said.get("product") == product and said.get("how") != "ended":
            found.add(said["version"])
    return found


def _received(row: Mapping[str, Any], body: Mapping[str, Any], product: str, version: int, sure: Sure) -> Received:
    at = as_utc(row["at"])
    return Received(
        recipient=row["recipient"],
        organisation=row["organisation"],
        application=row["application"],
        product=product,
        version=version,
        road=str(body.get("road") or "?"),
        sure=sure,
        reads=1,
        first=at,
        last=at,
    )
