"""The keys of channels: under them what a release shows keyed is hashed or sealed, before any recipient's own key.

Each channel has keys of its own: what one shows of a person cannot be joined with what another shows (0015).
"""

from collections.abc import Callable, Iterable

import duckdb

from pipelines.codecs.sm4 import Sealer
from pipelines.privacy import pseudonyms, sealing
from pipelines.privacy.masks import masks


def register(
    con: duckdb.DuckDBPyConnection, key: Callable[[str], bytes], channel: str, masked_by: Iterable[str | None]
) -> None:
    """Add the functions of those of these masks of a channel that need a key. `key`: the key of this name, asked for at
    once; what it raises for one that is gone passes through, as nothing does out of a function of DuckDB."""
    names = needed(channel, masked_by)
    if sealing_key(channel) in names:
        sealing.register(con, sealer_of(key, channel).seal)
    if pseudonym_key(channel) in names:
        pseudonyms.register(con, key(pseudonym_key(channel)))


def sealer_of(key: Callable[[str], bytes], channel: str) -> Sealer:
    """What seals, and opens, the released values of a channel."""
    return Sealer(key(sealing_key(channel)))


def sealing_key(channel: str) -> str:
    """The name of the key that a channel seals with."""
    return f"sealed_{channel}"


def pseudonym_key(channel: str) -> str:
    """The name of the key that a channel hashes with."""
    return f"pseudonym_{channel}"


def needed(channel: str, masked_by: Iterable[str | None]) -> set[str]:
    """The keys without which values cannot be made as these masks made them."""
    keyed = [masks[mask].about for mask in masked_by if mask is not None and masks[mask].about.needs_key]
    return {sealing_key(channel) if one.opens else pseudonym_key(channel) for one in keyed}
