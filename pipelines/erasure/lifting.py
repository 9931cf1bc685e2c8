"""Lifting orders to erase: a person who comes back lawfully is admitted again from the next delivery on.

The receipt of the order stays, and what was erased stays erased; its marks count no longer. Belongs here: whose orders
are lifted. Does not belong here: withholding (marks).
"""

from pipelines.erasure import marks
from pipelines.messages import CitylakeError
from pipelines.release.ledger import ERASURE_LIFT, Entry, Ledger


def lift(ledger: Ledger, key: bytes, person: str, who: str, why: str) -> list[str]:
    """Lift every order by which a person was erased, told by the id that was given then; the orders' numbers.

    Raises CitylakeError for somebody no standing order names.
    """
    mine = marks.mark(key, "person", [person])[person]
    orders = [one.subject for one in ledger.standing_erasures() if one.body["person"] == mine]
    if not orders:
        raise CitylakeError("erase.nothing_to_lift", person=person)
    about = {"who": who, "why": why, "person": mine}
    ledger.record([Entry(ERASURE_LIFT, order, f"lift-{order}"[:64], None, about) for order in orders])
    return orders
