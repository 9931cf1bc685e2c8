"""The keys that open what a recipient is shown sealed, written to a file for it by a security officer.

Only of columns that the recipient is shown now, of the epoch in force, and never again of one that was given up.
"""

import json
from pathlib import Path
from typing import Any

from catalog.delivery import pseudonyms
from catalog.delivery.desk import Desk
from catalog.delivery.transition import allowed_now
from catalog.policy import audit, users
from pipelines.codecs.sm4 import Sealer
from pipelines.messages import CitylakeError

ACT = "sealing.key"
CIPHER = "SM4-GCM"


def write(desk: Desk, recipient: str, product: str, target: Path, why: str, *, actor: str) -> tuple[str, ...]:
    """Write the keys of a product as JSON and audit it, without them; the columns that they open.

    Raises CitylakeError if the recipient is shown nothing sealed; NotAllowed.
    """
    if not why.strip():
        raise CitylakeError("withdrawal.who_and_why")
    with users.acting(desk.register, ACT, actor) as (connection, _):
        allowed = allowed_now(desk, recipient, product)
        if not allowed.sealed:
            raise CitylakeError("sealing.none", recipient=recipient, product=product)
        master, epoch = desk.views.master, allowed.epoch.number
        opening = {
            name: Sealer(pseudonyms.sealing_key(master, recipient, name, epoch)).opening_key.hex()
            for name in allowed.sealed
        }
        about = {"recipient": recipient, "product": product, "epoch": epoch, "cipher": CIPHER, "keys": opening}
        target.write_text(json.dumps(about, ensure_ascii=False, indent=1) + "\n", "utf-8")
        said: dict[str, Any] = {"actor": actor, "why": why.strip(), "epoch": epoch, "columns": allowed.sealed}
        audit.append(connection, ACT, "allowed", said, recipient=recipient, product=product, grant=allowed.grant)
    return allowed.sealed
