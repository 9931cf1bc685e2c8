"""Grants that end soon and after which none goes on: told to who owns the product, for deliveries end with them.

Belongs here: which they are, what hangs on them, the issue. Does not belong here: renewing a grant (administration),
ending a delivery (`push`).
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from catalog.delivery.deliveries import all_deliveries
from catalog.delivery.files.deliver import FileTask
from catalog.policy.administration import SOON
from catalog.policy.callers import load_grants
from catalog.policy.decision import Grant
from pipelines.contracts.models import CityForm, DeliveryForm
from pipelines.contracts.resolved import Contracts
from pipelines.issues import Finding, Issues
from pipelines.register import Register
from pipelines.register.tables import issue as issues

AREA: Final = "ending"


def ending(grants: Iterable[Grant], moment: datetime) -> list[Grant]:
    """Those in force that end soon and after which no approved one of the same product goes on for the recipient."""
    given = [one for one in grants if one.revoked is None and not one.pending]
    soon = (one for one in given if one.valid_from <= moment < one.valid_until <= moment + SOON)
    return [one for one in soon if not any(_goes_on(one, other) for other in given)]


def hanging(city: CityForm, grant: Grant) -> dict[str, bool]:
    """The deliveries that end with a grant, and whether what was delivered is taken away then."""
    found = dict[str, bool]()
    for name, form in all_deliveries(city).items():
        if isinstance(form, DeliveryForm):
            road, whose, empties = "tables", form.recipient, form.whenEnded == "empty"
        elif isinstance(form, FileTask):
            road, whose, empties = "files", form.recipient, form.when_ended == "empty"
        else:
            continue
        covered = grant.roads is None or road in grant.roads
        if covered and (whose, form.product) == (grant.recipient, grant.product):
            found[name] = empties
    return found


def tell(register: Register, contracts: Contracts, moment: datetime) -> int:
    """Make the issues of this area exactly the grants that are ending; returns how many. They close when the grant is
    renewed, revoked or over."""
    standing = (issues.c.status == "open") & issues.c.code.startswith(f"{AREA}.")
    found: dict[str, list[Finding]] = {
        row["subject"]: [] for row in register.rows(sa.select(issues.c.subject).where(standing))
    }
    for grant in ending(load_grants(register), moment):
        found.setdefault(grant.product, []).append(_finding(contracts.city, grant))
    for product, findings in found.items():
        known = contracts.products.get(product)  # not the analysts' database
        owner = contracts.city.operator if known is None else known.contract.form.owner
        Issues(register).report(product, owner, AREA, findings)
    return sum(map(len, found.values()))


def _goes_on(grant: Grant, other: Grant) -> bool:
    same = (other.recipient, other.product) == (grant.recipient, grant.product)
    return same and other.valid_from <= grant.valid_until < other.valid_until


def _finding(city: CityForm, grant: Grant) -> Finding:
    """Of the recipient it says nothing: issues are for many eyes."""
    deliveries = hanging(city, grant)
    kind = "emptied" if any(deliveries.values()) else "delivery" if deliveries else "grant"
    day = grant.valid_until.astimezone(ZoneInfo(city.timezone)).date().isoformat()
    about = {"grant": grant.id, "product": grant.product, "day": day, "deliveries": "、".join(deliveries)}
    return Finding(f"{AREA}.{kind}", about, "warning", str(grant.id))
