"""The keys of channels: under them what a release shows keyed is hashed or sealed, before any recipient's own key.

Each channel has keys of its own: what one shows of a person cannot be joined with what another shows (0015).
"""

from collections.abc import Callable
from functools import cache

import duckdb

from pipelines.codecs.sm4 import Sealer
from pipelines.contracts.resolved import Product
from pipelines.privacy import pseudonyms, sealing


def register(con: duckdb.DuckDBPyConnection, key: Callable[[str], bytes], channel: str) -> None:
    """Add the functions of keyed masks to a connection. `key`: the key of this name; that of sealing is asked for when
    the first value is sealed."""
    pseudonyms.register(con, key(f"pseudonym_{channel}"))
    sealer = cache(lambda: sealer_of(key, channel))
    sealing.register(con, lambda text: sealer().seal(text))


def register_kept(con: duckdb.DuckDBPyConnection, key: Callable[[str], bytes], product: Product) -> None:
    """The same, to make what a product's releases say once more. `key`: a key that is there already, asked for at once;
    what it raises for one that is gone passes through."""
    for name in needed(product):
        key(name)
    register(con, key, product.channel)


def sealer_of(key: Callable[[str], bytes], channel: str) -> Sealer:
    """What seals, and opens, the released values of a channel."""
    return Sealer(key(sealing_key(channel)))


def sealing_key(channel: str) -> str:
    """The name of the key that a channel seals with."""
    return f"sealed_{channel}"


def needed(product: Product) -> list[str]:
    """The keys without which the rows of a product cannot be made as they were released."""
    sealed = [sealing_key(product.channel)] if any(column.sealed for column in product.columns) else []
    return [f"pseudonym_{product.channel}", *sealed]
