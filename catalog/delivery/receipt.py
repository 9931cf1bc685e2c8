"""Receipts: what was delivered to whom, or read by whom, signed, so that it can be checked without asking anybody.

The statement is canonical JSON and names its key; the signature is over its UTF-8 bytes. `openssl pkeyutl -verify
-pubin -inkey key.pem -rawin -in statement.json -sigfile signature.bin` checks one of Ed25519 (docs/deliveries.md).
"""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding

from pipelines.messages import CitylakeError
from pipelines.register.chain import canonical
from pipelines.register.signer import Signer
from pipelines.register.store import now
from pipelines.release.check import signed_with

FORMAT = "citylake-delivery/1"
OF_READS = "citylake-reads/1"
"""Of a receipt that is made from the audit, of what a recipient read in a period."""


def signed(signer: Signer, form: str = FORMAT, **facts: Any) -> tuple[str, str]:
    """A statement of these facts and its signature in hexadecimal."""
    at = now().isoformat(timespec="seconds")
    key = signer.public_key(Encoding.DER).hex()
    statement = canonical({"format": form, "at": at, **facts, "algorithm": signer.algorithm, "key": key})
    return statement, signer.sign(statement.encode()).hex()


def zipped(statement: str, signature: str, signer: Signer) -> bytes:
    """A receipt and the key that checks it as one archive."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in _files(statement, signature, signer).items():
            archive.writestr(name, content)
    return packed.getvalue()


def _files(statement: str, signature: str, signer: Signer) -> dict[str, bytes]:
    return {
        "statement.json": statement.encode(),
        "signature.bin": bytes.fromhex(signature),
        "key.pem": signer.public_key(Encoding.PEM),
    }


def written(folder: Path, statement: str, signature: str, signer: Signer) -> None:
    """Write a receipt and the key that checks it to a new folder. Raises CitylakeError if there is one."""
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        raise CitylakeError("deliver.folder", folder=folder) from None
    for name, content in _files(statement, signature, signer).items():
        (folder / name).write_bytes(content)


def holds(statement: str, signature: str, algorithm: str, key: bytes) -> bool:
    """Whether a receipt of a delivery was signed with the key (a DER SubjectPublicKeyInfo) and says so. Text of a
    stranger is not parsed: only what was signed."""
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
