"""What readers would wait for, made before they ask: views of grants in force, their rows in order, their index by key.

Belongs here: for whom something is made ahead, and going on when one cannot be made. How it is made belongs to the
roads, which make it when somebody asks first; so nothing depends on what is here.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from catalog.delivery.desk import Desk
from catalog.delivery.rows import keys
from catalog.delivery.rows.router import ROAD as ROWS
from catalog.listing import Offering
from catalog.policy.administration import list_grants, list_recipients
from catalog.policy.decision import ANONYMOUS, ROADS, Allowed, Caller
from catalog.policy.suspension import Whom
from pipelines.issues import Finding
from pipelines.lake.errors import DiskFull, disk_full_named

AREA = "ahead"
_ONE_KEY = "verification"
"""The road that asks for one key, of products that may be read in no other way."""


@dataclass
class Ahead:
    """What became of one product: the policies it is ready for, and the kinds of what went wrong under others."""

    product: str
    ready: set[str] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)

    @property
    def full(self) -> bool:
        """Whether the disk is full, so that there is no use in going on."""
        return DiskFull.__name__ in self.problems

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What went wrong, as an issue: counts and kinds, no recipient and no value."""
        if not self.problems:
            return ()
        kinds = "、".join(sorted(set(self.problems)))
        about = {"product": self.product, "count": len(self.problems), "problems": kinds}
        return (Finding(f"{AREA}.failed", about, "warning", rows=len(self.problems)),)


def after_release(desk: Desk) -> Iterator[Ahead]:
    """Make what may be asked of any product now. A product for which the disk is full is the last."""
    callers = [ANONYMOUS, *(desk.callers.on_behalf(one.name) for one in list_recipients(desk.register))]
    for offering in desk.listing.snapshot().offerings():
        yield (made := _made(desk, offering, callers))
        if made.full:
            return


def after_grant(desk: Desk, recipient: str, product: str) -> Ahead:
    """Make what a recipient may ask of a product now, which is nothing of one that is none or not published."""
    offering = desk.listing.snapshot().find(product)
    return Ahead(product) if offering is None else _made(desk, offering, [desk.callers.on_behalf(recipient)])


def after_return(desk: Desk, whom: Whom, name: str) -> Iterator[Ahead]:
    """Make what a recipient, or all of an organisation, may ask of what was granted: they were let in again, or got new
    pseudonyms. A product for which the disk is full is the last."""
    for one in list_recipients(desk.register):
        if name != (one.name if whom == "recipient" else one.organisation):
            continue
        for product in sorted({grant.product for grant in list_grants(desk.register, one.name)}):
            yield (made := after_grant(desk, one.name, product))
            if made.full:
                return


def _made(desk: Desk, offering: Offering, callers: Sequence[Caller]) -> Ahead:
    made = Ahead(offering.product.id)
    for caller in callers:
        failed: list[Allowed] = []
        for road in ROADS:
            allowed = None
            try:
                with disk_full_named(desk.views.folders.root):
                    allowed = _asked(desk, offering, caller, road)
                    # what failed on one road is not tried again on the next; another policy is
                    if allowed and not any(desk.views.same(allowed, one) for one in failed):
                        made.ready.add(_ready(desk, offering, allowed, road))
            except Exception as problem:  # only its kind is told: the text of what nobody foresaw may quote rows
                made.problems.append(type(problem).__name__)
                if made.full:
                    return made
                failed += [allowed] if allowed else []
    return made


def _asked(desk: Desk, offering: Offering, caller: Caller, road: str) -> Allowed | None:
    """Under what a caller may read a product by a road, if he may and something is to be made for it."""
    allowed = desk.decide(caller, offering, road, one_key=road == _ONE_KEY)
    if not isinstance(allowed, Allowed) or _rarely_asked(allowed) or not desk.views.has(allowed):
        return None
    return allowed


def _ready(desk: Desk, offering: Offering, allowed: Allowed, road: str) -> str:
    """Make all that a road asks for under a policy; the key of its view."""
    extract = desk.views.extract(allowed)
    if road == ROWS:
        keys.ready(desk.views, allowed, extract, offering.product)
    return extract.key


def _rarely_asked(allowed: Allowed) -> bool:
    """Of what every recipient may read each would have a view with pseudonyms of its own, and few ask."""
    return allowed.grant is None and bool(allowed.keyed)
