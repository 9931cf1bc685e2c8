"""Receipts of reads: what a recipient got over HTTP in a period, summed up from the audit and signed.

Nothing is signed when data is read: a receipt is made when somebody asks for it. Belongs here: its statement. Does not
belong here: the sums (`catalog.policy.reads`), who asks.
"""

from dataclasses import replace
from typing import Any, Final
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from catalog.delivery import receipt
from catalog.delivery.desk import Desk
from catalog.policy import inquiry, reads
from catalog.policy.decision import Caller
from catalog.policy.inquiry import Asked
from pipelines.messages import CitylakeError
from pipelines.register.signer import Signer
from pipelines.register.tables import recipient as recipients

PER_MINUTE: Final = 6
"""Of one recipient, whichever road it asks by: a look at all of its audit and a signature are dear."""
MOST_DAYS: Final = 366
"""Of what a recipient asks for at once."""


def receipt_for_caller(desk: Desk, caller: Caller, asked: Asked, road: str, by: Signer) -> tuple[str, str, int]:
    """As `receipt_of_reads`, for a recipient about itself. Raises CitylakeError also for a period without both days and
    for one that is too long; Refused for one question too many in this minute."""
    if asked.first is None or asked.last is None:
        raise CitylakeError("receipt.days")
    if (asked.last - asked.first).days >= MOST_DAYS:
        raise CitylakeError("receipt.too_long", most=MOST_DAYS)
    bucket = f"receipt {caller.recipient}"
    wait = desk.rates.wait(bucket, PER_MINUTE)
    desk.hold_back(caller, None, inquiry.ACT, road, wait, desk.rates.untold(bucket))
    return receipt_of_reads(desk, asked, by)


def receipt_of_reads(desk: Desk, asked: Asked, by: Signer) -> tuple[str, str, int]:
    """The statement about one recipient's period, its signature in hexadecimal, and how many reads it tells of.

    Raises CitylakeError for too many kinds of reads, Busy.
    """
    city = desk.listing.city()
    zone = ZoneInfo(city.timezone)
    with desk.views.folders.work.place(None):
        found = reads.summed(desk.register, zone, asked)
    named = sa.select(recipients.c.organisation).where(recipients.c.name == asked.recipient)
    about: dict[str, Any] = {
        "from": city.operator,
        "recipient": asked.recipient,
        "organisation": next(iter(desk.register.rows(named)))["organisation"],
        "asked": replace(asked, recipient=None).said(),
        "timezone": city.timezone,
        "reads": found.entries,
        "denied": found.denied,
        "audit": {"newest": found.newest, "hash": found.hash},
    }
    statement, signature = receipt.signed(by, receipt.OF_READS, **about)
    return statement, signature, sum(one["reads"] for one in found.entries)
