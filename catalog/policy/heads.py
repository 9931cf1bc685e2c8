"""A security officer vouches for a signed head of a key that was handed over: the way out for a book that is signed no
more. Belongs here: who may, and the audit. Does not belong here: heads themselves (`pipelines.register.heads`).
"""

from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from catalog.policy import audit, users
from pipelines.messages import CitylakeError
from pipelines.register import Register, heads
from pipelines.register.heads import Head
from pipelines.register.signer import Signer
from pipelines.register.tables import audit as audited

ACT = "head.accept"


def accept(
    register: Register, signer: Signer, zone: ZoneInfo, of: sa.Table, why: str, *, actor: str
) -> tuple[int, Head]:
    """Accept the last head of a book; its number and the head that says so. Audited first, so that the audit has a row.

    Raises CitylakeError for a book that needs none, has no rows since, or cannot be signed with this key, and then
    audits nothing as done; NotAllowed.
    """
    if not why.strip():
        raise CitylakeError("withdrawal.who_and_why")
    with users.acting(register, ACT, actor) as (connection, _):
        last = heads.acceptable(register, signer, of, rows_follow=of is audited)
        said: dict[str, Any] = {"actor": actor, "why": why.strip(), "chain": of.name, "head": last}
        audit.append(connection, ACT, "allowed", said)
    return last, heads.accept(register, signer, zone, of, {"who": actor, "why": why.strip()})
