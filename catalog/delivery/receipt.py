"""Delivery receipts: what was delivered to whom, signed, so that the recipient can check it without asking anybody.

The statement is canonical JSON and names its key; the signature is over its UTF-8 bytes. `openssl pkeyutl -verify
-pubin -inkey key.pem -rawin -in statement.json -sigfile signature.bin` checks one of Ed25519 (docs/deliveries.md).
"""

import json
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding

from pipelines.register.chain import canonical
from pipelines.register.signer import Signer
from pipelines.register.store import now
from pipelines.release.check import signed_with

FORMAT = "citylake-delivery/1"


def signed(signer: Signer, **facts: Any) -> tuple[str, str]:
    """A statement of these facts and its signature in hexadecimal."""
    at = now().isoformat(timespec="seconds")
    key = signer.public_key(Encoding.DER).hex()
    statement = canonical({"format": FORMAT, "at": at, **facts, "algorithm": signer.algorithm, "key": key})
    return statement, signer.sign(statement.encode()).hex()


def holds(statement: str, signature: str, algorithm: str, key: bytes) -> bool:
    """Whether a receipt was signed with the key (a DER SubjectPublicKeyInfo) and says so. Text of a stranger is not
    parsed: only what was signed."""
    try:
        if not signed_with(algorithm, key, bytes.fromhex(signature), statement.encode()):
            return False
        said = json.loads(statement)
        return bool((said["format"], said["algorithm"], said["key"]) == (FORMAT, algorithm, key.hex()))
    except (ValueError, KeyError, TypeError, RecursionError):
        return False


def signed_by(statement: str, signature: str, ours: Signer) -> Signer | None:
    """Which of our signers, the present one or a former one, signed a receipt; None for nobody of ours."""
    known = (ours, *ours.former)
    keys = ((one, one.public_key(Encoding.DER)) for one in known)
    return next((one for one, key in keys if holds(statement, signature, one.algorithm, key)), None)
