"""Delivery receipts: what was delivered to whom, signed, so that the recipient can check it without asking anybody.

The statement is canonical JSON and names its key; the signature is over its UTF-8 bytes. `openssl pkeyutl -verify
-pubin -inkey key.pem -rawin -in statement.json -sigfile signature.bin` checks one (docs/deliveries.md).
"""

import json
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, load_der_public_key

from pipelines.register.chain import canonical
from pipelines.register.signer import Signer
from pipelines.register.store import now

FORMAT = "citylake-delivery/1"


def signed(signer: Signer, **facts: Any) -> tuple[str, str]:
    """A statement of these facts and its signature in hexadecimal."""
    at = now().isoformat(timespec="seconds")
    key = signer.public_key(Encoding.DER).hex()
    statement = canonical({"format": FORMAT, "at": at, **facts, "algorithm": signer.algorithm, "key": key})
    return statement, signer.sign(statement.encode()).hex()


def holds(statement: str, signature: str, key: bytes) -> bool:
    """Whether a receipt was signed with the key (a DER SubjectPublicKeyInfo, Ed25519) and says so."""
    try:
        public = load_der_public_key(key)
        if not isinstance(public, Ed25519PublicKey):
            return False
        public.verify(bytes.fromhex(signature), statement.encode())
        said = json.loads(statement)
        return bool(said["format"] == FORMAT and said["key"] == key.hex())
    except (InvalidSignature, ValueError, KeyError, TypeError):
        return False
