"""The table that leads a recipient from the pseudonyms of one epoch to those of the next, for a rotation that hides
nothing from it.

Of the values that the recipient is shown now, and of no others. After a compromise there is none: it would lead whoever
knows the old pseudonyms on to the new ones.
"""

from pathlib import Path
from typing import Any

from catalog.delivery.desk import Desk
from catalog.policy import audit, epochs, users
from catalog.policy.decision import FIRST_EPOCH, ROADS, Allowed, Denied, Epoch
from pipelines.codecs.sql import literal
from pipelines.messages import CitylakeError
from pipelines.register.store import now

ACT = "pseudonym.transition"


def write(desk: Desk, recipient: str, product: str, target: Path, why: str, *, actor: str) -> int:
    """Write `column,old,new` of a product as CSV and audit it; returns the rows.

    Raises CitylakeError if there was no rotation, one for a compromise, or nothing that the recipient is shown keyed;
    NotAllowed, LakeError.
    """
    if not why.strip():
        raise CitylakeError("withdrawal.who_and_why")
    allowed = allowed_now(desk, recipient, product)
    if not allowed.pseudonyms:
        raise CitylakeError("pseudonym.none", recipient=recipient, product=product)
    before = _before(desk, recipient, allowed.epoch)
    with desk.views.folders.connection() as con:
        query = desk.views.transition(con, allowed, before)
        ((rows,),) = con.execute(f"SELECT count(*) FROM ({query})").fetchall()
        con.execute(f"COPY ({query}) TO {literal(str(target))} (FORMAT csv, HEADER, USE_TMP_FILE false)")
    with users.acting(desk.register, ACT, actor) as (connection, _):  # after what takes long: it keeps others waiting
        said: dict[str, Any] = {
            "actor": actor,
            "why": why.strip(),
            "from": before.number,
            "to": allowed.epoch.number,
            "rows": rows,
        }
        said |= {**allowed.told, "columns": allowed.pseudonyms, "road": "command"}
        about: audit.About = {"recipient": recipient, "product": product, "version": allowed.version}
        about["grant"] = allowed.grant
        audit.append(connection, ACT, "allowed", said, **about)
    return int(rows)


def allowed_now(desk: Desk, recipient: str, product: str) -> Allowed:
    """What the recipient may read of a product now, by whichever road. Raises CitylakeError if that is nothing."""
    caller, offering = desk.callers.on_behalf(recipient), desk.listing.snapshot().find(product)
    decisions = [desk.decide(caller, offering, road) for road in ROADS]
    allowed = next((one for one in decisions if isinstance(one, Allowed)), None)
    if allowed is None:
        (denied, *_) = (one for one in decisions if isinstance(one, Denied))
        raise CitylakeError("pseudonym.not_shown", recipient=recipient, product=product, reason=denied.reason.value)
    return allowed


def _before(desk: Desk, recipient: str, epoch: Epoch) -> Epoch:
    """The epoch before the one in force."""
    begun = [one for one in epochs.rotations(desk.register, recipient) if one.since <= now()]
    if not begun or begun[-1].epoch != epoch:
        raise CitylakeError("pseudonym.not_rotated", recipient=recipient)
    if begun[-1].compromised:
        raise CitylakeError("pseudonym.compromised", recipient=recipient, epoch=epoch.number)
    return begun[-2].epoch if len(begun) > 1 else FIRST_EPOCH
