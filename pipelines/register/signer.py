"""Who signs heads of the ledger. One algorithm is one class; a head names its algorithm, and so does whoever checks it.

Belongs here: keys and signatures. Does not belong here: what is signed (heads), which signer a city chose, and devices
outside that sign (release/signing).
"""

from collections.abc import Sequence
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

SIGNING = "ledger_signing"
"""The name of the key in `secrets/`."""


class Signer(Protocol):
    """Signs bytes. `algorithm` is what a head says of it; the public key is a SubjectPublicKeyInfo (RFC 5280).

    `former`: signers of the keys that were used before and hand over to this one.
    """

    algorithm: str
    former: Sequence["Signer"]

    def sign(self, message: bytes) -> bytes:
        """The signature of a message."""

    def public_key(self, encoding: Encoding) -> bytes:
        """The public key as PEM or DER."""


class Ed25519Signer:
    """Ed25519 (RFC 8032) with a seed of 32 bytes. Raises ValueError for any other length."""

    algorithm = "ed25519"

    def __init__(self, seed: bytes, former: Sequence[Signer] = ()) -> None:
        self.former = former
        self._key = Ed25519PrivateKey.from_private_bytes(seed)

    def sign(self, message: bytes) -> bytes:
        """64 bytes."""
        return self._key.sign(message)

    def public_key(self, encoding: Encoding) -> bytes:
        """The public key as PEM or DER."""
        return self._key.public_key().public_bytes(encoding, PublicFormat.SubjectPublicKeyInfo)


def of_key(signer: Signer, key: bytes) -> Signer | None:
    """The signer whose public key this is (DER): the one that signs now, or a former one; None for a strange key."""
    known = (signer, *signer.former)
    return next((one for one in known if one.public_key(Encoding.DER) == key), None)
