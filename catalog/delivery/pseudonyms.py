"""Keys of pseudonyms and of sealed values for one recipient: what the product itself shows keyed is keyed anew, so that
two recipients cannot link theirs, and neither opens what is the other's.

One key for each recipient, column and epoch (decision 0058): a value in columns of one name is one pseudonym to a
recipient, in every version and product of a channel, until an epoch ends. The keyed hash itself is
`pipelines.privacy.pseudonyms`; which epoch is in force, `catalog.policy.epochs`.
"""

from pipelines.codecs import sm3
from pipelines.register.chain import canonical


def column_key(master: bytes, recipient: str, column: str, epoch: int) -> bytes:
    """The 32-byte key of a recipient's column in an epoch: HMAC-SM3 of these under the installation's key."""
    return bytes.fromhex(sm3.signature(master, canonical(["key", recipient, column, epoch]).encode()))


def sealing_key(master: bytes, recipient: str, column: str, epoch: int) -> bytes:
    """The 32 bytes under which a recipient's column is sealed in an epoch (`pipelines.codecs.sm4`)."""
    return bytes.fromhex(sm3.signature(master, canonical(["seal", recipient, column, epoch]).encode()))


def key_id(master: bytes, recipient: str, epoch: int) -> str:
    """A name of an epoch's keys which tells nothing of them; another master key gives another name."""
    return sm3.signature(master, canonical(["id", recipient, epoch]).encode())[:16]
