"""What there is to see: every product of the contracts with its published version, kept up to date cheaply.

Reads contracts and ledger; decides nothing and opens no data.
"""

import json
import logging
import threading
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from catalog.policy.decision import Bound, Offer, Organisations, ShownUntil
from pipelines.contracts.forms.city import CityForm
from pipelines.contracts.load import load, stated
from pipelines.contracts.resolved import Contracts, Product
from pipelines.messages import CitylakeError
from pipelines.privacy.masks import masks
from pipelines.register import Register
from pipelines.register.tables import ledger as ledger_table
from pipelines.release.ledger import PAST_WITHDRAWAL, RELEASE, WITHDRAWAL, Ledger, Recorded
from pipelines.release.shown import (
    asking_columns,
    bound_columns,
    lookups_a_minute,
    released_columns,
    same_limit,
    share_type,
    shown_until,
)
from pipelines.waits import holding, waits

log = logging.getLogger(__name__)

CONTRACTS_LOOK_SECONDS = 2.0
"""How long a look at the contract files stays good."""
LEDGER_LOOK_SECONDS = 60.0
"""How long what the ledger said is good at most: also whoever writes to it past its triggers is heard."""
KEYED = frozenset(name for name, mask in masks.items() if mask.about.needs_key)
_NEWEST = sa.select(sa.func.coalesce(sa.func.max(ledger_table.c.sequence), 0).label("sequence"))


@dataclass(frozen=True)
class Offering:
    """A product of the contracts and its published release, None when nothing is published."""

    product: Product
    release: Recorded | None
    approval: frozenset[str] = frozenset()
    """Its columns that ask for a second person's approval, by city or release."""
    zone: str = "UTC"
    """Where days begin and end."""
    organisations: Organisations | None = None
    """Whose its rows are, if its contract tells."""
    purposes: Mapping[str, str] = field(default_factory=dict, compare=False)
    """Codes of purposes by the texts that mean them."""

    @property
    def lookups(self) -> int | None:
        """How many times a minute a recipient may ask for one key of it; None if it is read as a table."""
        return lookups_a_minute(self.product, self.release.body if self.release else {})

    @cached_property
    def offer(self) -> Offer:
        """What policy needs to know of it."""
        product = self.product
        body = self.release.body if self.release else {}
        columns, until = released_columns(product, body), shown_until(product, body)
        whose = self.organisations if same_limit(product, body, "organisations") else None
        return Offer(
            product=product.id,
            channel=product.channel,
            share_type=share_type(product, body),
            columns=columns,
            rows=product.form.rows if product.form.rows in columns and same_limit(product, body, "rows") else None,
            pseudonyms=frozenset(column.name for column in product.columns if column.pseudonymised),
            sealed=frozenset(column.name for column in product.columns if column.sealed),
            version=self.release.version if self.release else None,
            lookup=self.lookups is not None,
            approval=self.approval,
            shown_until=None if until is None else ShownUntil(until, self.zone),
            organisations=whose if whose and whose.column in columns else None,
            bound=tuple(
                Bound(name, texts, otherwise, otherwise in KEYED)
                for name, (texts, otherwise) in bound_columns(product, body).items()
            ),
            purposes=self.purposes,
        )


@dataclass(frozen=True)
class Snapshot:
    """Contracts and published versions at one moment. `published` has every subject, products and models."""

    contracts: Contracts
    published: Mapping[str, Recorded]
    broken: str | None
    """The mistake in the contract files, when the last good ones are shown instead."""
    _offerings: dict[str, Offering] = field(default_factory=dict, repr=False, compare=False)

    def find(self, product_id: str) -> Offering | None:
        """The offering of a product id, None if no contract names it."""
        product = self.contracts.products.get(product_id)
        return self._offering(product) if product else None

    def offerings(self) -> list[Offering]:
        """All products of the contracts, ordered by id."""
        products = self.contracts.products
        return [self._offering(products[name]) for name in sorted(products)]

    def _offering(self, product: Product) -> Offering:
        if product.id not in self._offerings:
            self._offerings[product.id] = self._made(product)
        return self._offerings[product.id]

    def _made(self, product: Product) -> Offering:
        form, whose = product.form.organisations, None
        if form is not None:
            known = self.contracts.codes_of_organisations(form.departments)
            whose = Organisations(form.column, frozenset((org, code) for org, codes in known.items() for code in codes))
        release, purposes = self.published.get(product.id), self.contracts.purposes
        asking = asking_columns(product, release.body if release else {}, self.contracts.city)
        return Offering(product, release, asking, self.contracts.city.timezone, whose, purposes)


class Listing:
    """The current snapshot. Safe to share between threads; new releases and contracts show without a restart."""

    def __init__(self, contracts: Path, register: Register) -> None:
        self.ledger = Ledger(register)
        self._root = contracts
        self._lock = threading.Lock()
        self._looked = float("-inf")
        self._stated = ""
        self._contracts: Contracts | None = None
        self._broken: str | None = None
        self._snapshot: Snapshot | None = None
        self._basis: int | None = None
        self._asked = float("-inf")
        self._sequence = -1
        self._published: dict[str, Recorded] = {}
        self._ended: dict[str, dict[int, Recorded]] = {}

    def snapshot(self) -> Snapshot:
        """Contracts and ledger as they are now. Raises CitylakeError if the contracts never could be read."""
        with holding(self._lock):
            self._look_at_contracts()
            self._look_at_ledger()
            assert self._contracts is not None
            if self._snapshot is None:
                self._snapshot = Snapshot(self._contracts, self._published, self._broken)
            return self._snapshot

    def city(self) -> CityForm:
        """What the contracts say of the whole city, as they were read last: looks at no file and no ledger."""
        return (self._contracts or self.snapshot().contracts).city

    def readable_versions(self, subject: str) -> dict[int, dict[str, Any]]:
        """The versions a caller may begin to read, with their releases' bodies: those that stand.

        Of a product with `shownUntil` only the published one: earlier ones tell of rows whose end was set since.
        """
        offering, versions = self.snapshot().find(subject), self.standing_versions(subject)
        if offering is None or offering.offer.shown_until is None:
            return versions
        newest = None if offering.release is None else offering.release.version
        return {version: body for version, body in versions.items() if version == newest}

    def standing_versions(self, subject: str) -> dict[int, dict[str, Any]]:
        """The versions a caller may still be reading, with their releases' bodies: those since the last withdrawal
        whose period is not over and that were not taken back themselves."""
        columns, versions = ledger_table.c, dict[int, dict[str, Any]]()
        moves = (columns.subject == subject) & columns.kind.in_([RELEASE, WITHDRAWAL, PAST_WITHDRAWAL])
        query = sa.select(columns.kind, columns.version, columns.body).where(moves).order_by(columns.sequence.desc())
        closed = set(self.ended_versions(subject))
        for row in self.ledger.register.rows(query):
            if row["kind"] == WITHDRAWAL:
                break
            if row["kind"] == PAST_WITHDRAWAL:
                closed.add(row["version"])
            else:
                versions.setdefault(row["version"], json.loads(row["body"]))
        return {version: body for version, body in versions.items() if version not in closed}

    def ended_versions(self, subject: str) -> Collection[int]:
        """The versions that were ended: the period of their contract was over, or an order asked for it."""
        with holding(self._lock):
            self._look_at_ledger()
            return self._ended.get(subject, {}).keys()

    def decisions(self, limit: int = 100, before: int | None = None) -> list[Recorded]:
        """The newest decisions about all subjects, or those before a sequence number."""
        columns = ledger_table.c
        query = sa.select(ledger_table).order_by(columns.sequence.desc()).limit(limit)
        if before is not None:
            query = query.where(columns.sequence < before)
        names = [item.name for item in fields(Recorded)]
        rows = self.ledger.register.rows(query)
        return [Recorded(**{name: row[name] for name in names} | {"body": json.loads(row["body"])}) for row in rows]

    def _look_at_contracts(self) -> None:
        if time.monotonic() - self._looked < CONTRACTS_LOOK_SECONDS:
            return
        waits()
        now_stated = stated(self._root)
        if now_stated != self._stated or self._contracts is None:
            self._read_contracts()
            self._stated = now_stated
        self._looked = time.monotonic()

    def _read_contracts(self) -> None:
        self._snapshot = None
        try:
            self._contracts, self._broken = load(self._root), None
        except CitylakeError as error:
            if self._contracts is None:
                raise
            self._broken = str(error)  # one author's slip must not close the whole catalogue; /health tells of it
            log.error("contracts cannot be read, the last good ones stay: %s", error)

    def _look_at_ledger(self) -> None:
        moment = time.monotonic()
        basis = self.ledger.register.basis()  # read first: whatever is written meanwhile moves it
        if basis is not None and basis == self._basis and moment - self._asked < LEDGER_LOOK_SECONDS:
            return
        sequence = self.ledger.register.rows(_NEWEST)[0]["sequence"]
        if sequence != self._sequence:
            self._snapshot = None
            self._published, self._ended = self.ledger.published(), self.ledger.ended_versions()
            self._sequence = sequence
        self._basis, self._asked = basis, moment
