"""What of a released product may be shown now: the one rule that every channel, the analysts' database too, asks.

Compares a contract with a ledger entry's body. Who may see it is decided by policy; nothing here opens data.
"""

from collections.abc import Mapping
from typing import Any

from pipelines.contracts.resolved import Product


def released_columns(product: Product, body: Mapping[str, Any]) -> tuple[str, ...]:
    """The columns of the contract that a release made just as the contract makes them now: from that source, so masked.

    An allow-list or mask that was tightened since acts at once: the column is closed until the next release. A release
    that does not say how its columns were made shows none.
    """
    released = body.get("columns") or {}
    same = (column for column in product.columns if released.get(column.name) == [column.source, column.mask])
    return tuple(column.name for column in same)
