"""Grants that end soon and after which none goes on as far: told to who owns the product, for deliveries end with them.

Belongs here: which they are, what hangs on them, the issue. Does not belong here: renewing a grant (administration),
ending a delivery (`push`).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from catalog.delivery.deliveries import all_deliveries
from catalog.delivery.files.deliver import FileTask
from catalog.policy.administration import SOON
from catalog.policy.callers import load_grants
from catalog.policy.decision import ROADS, Grant, within
from pipelines.contracts.forms.city import CityForm
from pipelines.contracts.forms.deliveries import DeliveryForm
from pipelines.contracts.resolved import Contracts
from pipelines.issues import Finding, Issues
from pipelines.register import Register
from pipelines.register.tables import issue as issues

AREA: Final = "ending"
LAST: Final = timedelta(microseconds=1)
"""Before its end a grant is in force for the last time."""


@dataclass(frozen=True)
class Ending:
    """A grant that ends soon, and the roads by which the recipient has less then."""

    grant: Grant
    roads: tuple[str, ...]


def ending(grants: Iterable[Grant], moment: datetime) -> list[Ending]:
    """Those in force that end soon and after which the recipient has less by some road: no approved grant of the same
    product goes on there, or one with fewer columns or rows."""
    given = [one for one in grants if one.revoked is None and not one.pending]
    soon = (one for one in given if one.valid_from <= moment < one.valid_until <= moment + SOON)
    less = (Ending(one, tuple(road for road in one.roads or ROADS if _falls(one, road, given))) for one in soon)
    return [one for one in less if one.roads]


def hanging(city: CityForm, one: Ending) -> dict[str, bool]:
    """The deliveries that end with a grant or bring less, and whether what was delivered is taken away at an end."""
    found = dict[str, bool]()
    for name, form in all_deliveries(city).items():
        if isinstance(form, DeliveryForm):
            road, whose, empties = "tables", form.recipient, form.whenEnded == "empty"
        elif isinstance(form, FileTask):
            road, whose, empties = "files", form.recipient, form.when_ended == "empty"
        else:
            continue
        if road in one.roads and (whose, form.product) == (one.grant.recipient, one.grant.product):
            found[name] = empties
    return found


def tell(register: Register, contracts: Contracts, moment: datetime) -> int:
    """Make the issues of this area exactly the grants that are ending; returns how many. They close when the grant is
    renewed, revoked or over."""
    standing = (issues.c.status == "open") & issues.c.code.startswith(f"{AREA}.")
    found: dict[str, list[Finding]] = {
        row["subject"]: [] for row in register.rows(sa.select(issues.c.subject).where(standing))
    }
    for one in ending(load_grants(register), moment):
        found.setdefault(one.grant.product, []).append(_finding(contracts.city, one))
    for product, findings in found.items():
        known = contracts.products.get(product)  # not the analysts' database
        owner = contracts.city.operator if known is None else known.contract.form.owner
        Issues(register).report(product, owner, AREA, findings)
    return sum(map(len, found.values()))


def _falls(grant: Grant, road: str, given: list[Grant]) -> bool:
    """Whether it is what is read by on a road until it ends, and what is read by then does not cover it."""
    mine = [other for other in given if (other.recipient, other.product) == (grant.recipient, grant.product)]
    last, then = (_read_by(mine, road, moment) for moment in (grant.valid_until - LAST, grant.valid_until))
    return last == grant and (then is None or not _covers(then, grant))


def _read_by(mine: list[Grant], road: str, moment: datetime) -> Grant | None:
    """The newest grant that is in force on a road at a moment, as the decision takes it."""
    there = (one for one in mine if one.roads is None or road in one.roads)
    return max(
        (one for one in there if one.valid_from <= moment < one.valid_until), key=lambda one: one.id, default=None
    )


def _covers(then: Grant, grant: Grant) -> bool:
    """Whether it leaves out no column and no row of another one."""
    columns, organisations = (
        mine is None or (wanted is not None and set(wanted) <= set(mine))
        for mine, wanted in ((then.columns, grant.columns), (then.organisations, grant.organisations))
    )
    return columns and organisations and within(grant.divisions, then.divisions)


def _finding(city: CityForm, one: Ending) -> Finding:
    """Of the recipient it says nothing: issues are for many eyes."""
    grant, deliveries = one.grant, hanging(city, one)
    kind = "emptied" if any(deliveries.values()) else "delivery" if deliveries else "grant"
    day = grant.valid_until.astimezone(ZoneInfo(city.timezone)).date().isoformat()
    about = {"grant": grant.id, "product": grant.product, "day": day, "deliveries": "、".join(deliveries)}
    return Finding(f"{AREA}.{kind}", about, "warning", str(grant.id))
