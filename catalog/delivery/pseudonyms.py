"""Keys of pseudonyms for one recipient: the product's own pseudonyms are keyed anew, so that two recipients cannot link
theirs.

One key for each recipient, column and epoch (decision 0058): a value in columns of one name is one pseudonym to a
recipient, in every version and product of a channel, until an epoch ends. The keyed hash itself is
`pipelines.privacy.pseudonyms`; which epoch is in force, `catalog.policy.epochs`.
"""

from pipelines.codecs import sm3
from pipelines.register.chain import canonical


def column_key(master: bytes, recipient: str, column: str, epoch: int) -> bytes:
    """The 32-byte key of a recipient's column in an epoch: HMAC-SM3 of these under the installation's key."""
    return bytes.fromhex(sm3.signature(master, canonical(["key", recipient, column, epoch]).encode()))


def key_id(master: bytes, recipient: str, epoch: int) -> str:
    """A name of an epoch's keys which tells nothing of them; another master key gives another name."""
    return sm3.signature(master, canonical(["id", recipient, epoch]).encode())[:16]
