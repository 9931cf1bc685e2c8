"""The keys of channels: under them what a release shows keyed is hashed or sealed, before any recipient's own key.

Each channel has keys of its own: what one shows of a person cannot be joined with what another shows (0015).
"""

from collections.abc import Callable, Iterable
from functools import cache

import duckdb

from pipelines.codecs.sm4 import Sealer
from pipelines.privacy import pseudonyms, sealing
from pipelines.privacy.masks import masks


def register(con: duckdb.DuckDBPyConnection, key: Callable[[str], bytes], channel: str) -> None:
    """Add the functions of keyed masks to a connection. `key`: the key of this name; that of sealing is asked for when
    the first value is sealed."""
    pseudonyms.register(con, key(f"pseudonym_{channel}"))
    sealer = cache(lambda: sealer_of(key, channel))
    sealing.register(con, lambda text: sealer().seal(text))


def register_kept(
    con: duckdb.DuckDBPyConnection, key: Callable[[str], bytes], channel: str, masked_by: Iterable[str | None]
) -> None:
    """The same, to make what a release with these masks says once more. `key`: a key that is there already, asked for
    at once; what it raises for one that is gone passes through."""
    for name in needed(channel, masked_by):
        key(name)
    register(con, key, channel)


def sealer_of(key: Callable[[str], bytes], channel: str) -> Sealer:
    """What seals, and opens, the released values of a channel."""
    return Sealer(key(sealing_key(channel)))


def sealing_key(channel: str) -> str:
    """The name of the key that a channel seals with."""
    return f"sealed_{channel}"


def needed(channel: str, masked_by: Iterable[str | None]) -> list[str]:
    """The keys without which rows that were released through these masks cannot be made again."""
    seals = any(masks[mask].about.opens for mask in masked_by if mask is not None)
    return [f"pseudonym_{channel}", *([sealing_key(channel)] if seals else [])]
