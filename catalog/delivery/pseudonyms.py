"""Pseudonyms for one recipient: the product's own pseudonyms keyed anew, so that two recipients cannot link theirs.

The same recipient gets the same pseudonyms in every version of a product, and different ones in another product. The
keyed hash itself is `pipelines.privacy.pseudonyms`.
"""

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.hmac import HMAC

from pipelines.register.chain import canonical


def recipient_key(master: bytes, recipient: str, product: str) -> bytes:
    """The 32-byte key of a recipient for a product: HMAC-SM3 of both under the installation's key."""
    return _hmac(master, canonical(["key", recipient, product]))


def key_id(master: bytes, recipient: str, product: str) -> str:
    """A name of that key which tells nothing of it; another master key gives another name."""
    return _hmac(master, canonical(["id", recipient, product])).hex()[:16]


def _hmac(key: bytes, text: str) -> bytes:
    mac = HMAC(key, hashes.SM3())
    mac.update(text.encode())
    return mac.finalize()
