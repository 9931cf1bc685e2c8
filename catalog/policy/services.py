"""Services: what is offered, told apart into declared and live by what the audit counted. Decides nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa

from catalog.policy import inquiry
from catalog.policy.audit import ABOUT
from catalog.policy.decision import MARTS
from pipelines.contracts.resolved import Contracts
from pipelines.register import Register
from pipelines.register.tables import audit as table
from pipelines.register.times import as_utc
from pipelines.release.ledger import Recorded

LIVE_DAYS: Final = 90
"""A service is live if it was read successfully within so many days."""


@dataclass(frozen=True)
class Service:
    """One product that contracts declare. `calls`: reads that were answered within `LIVE_DAYS`, by so many applications
    and recipients; `last` is UTC."""

    product: str
    channel: str
    owner: str
    published: bool
    calls: int
    recipients: int
    applications: int
    last: datetime | None

    @property
    def live(self) -> bool:
        """Whether anybody used it."""
        return self.calls > 0


def services(
    register: Register, contracts: Contracts, published: Mapping[str, Recorded], now: datetime
) -> list[Service]:
    """Every service by product, the analysts' database last. Descriptions and listings are no reads."""
    columns = table.c
    read = (columns.outcome == "allowed") & columns.product.is_not(None) & columns.action.not_in(ABOUT)
    data = columns.version.is_not(None) | ((columns.product == MARTS) & (columns.action == "download"))
    counts = (
        sa.func.count().label("calls"),
        sa.func.count(sa.distinct(columns.recipient)).label("recipients"),
        sa.func.count(sa.distinct(columns.application)).label("applications"),
        sa.func.max(columns.at, type_=columns.at.type).label("last"),
    )
    query = sa.select(columns.product, *counts).where(read, data, columns.at >= now - timedelta(days=LIVE_DAYS))
    found = {row["product"]: row for row in inquiry.that_gave(register, query.group_by(columns.product))}
    owners = {name: product.contract.form.owner for name, product in sorted(contracts.products.items())}
    there = {
        MARTS: any(name.startswith("analyst/") for name in published),
        **{name: name in published for name in owners},
    }
    made = []
    for name, owner in {**owners, MARTS: contracts.city.operator}.items():
        row = found.get(name, {"calls": 0, "recipients": 0, "applications": 0, "last": None})
        last = as_utc(row["last"]) if row["last"] else None
        counted = (row["calls"], row["recipients"], row["applications"], last)
        made.append(Service(name, name.split("/")[0], owner, there[name], *counted))
    return made
