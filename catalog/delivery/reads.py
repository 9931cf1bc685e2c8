"""Receipts of reads: what a recipient got over HTTP in a period, summed up from the audit and signed.

Nothing is signed when data is read: a receipt is made when somebody asks for it. Belongs here: its statement. Does not
belong here: the sums (`catalog.policy.reads`), who may ask and by which road.
"""

from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from catalog.delivery import receipt
from catalog.delivery.desk import Desk
from catalog.policy import reads
from catalog.policy.inquiry import Asked
from pipelines.register.signer import Signer
from pipelines.register.tables import recipient as recipients


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
