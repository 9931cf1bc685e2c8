"""SM3 (GB/T 32905-2016) and HMAC-SM3: the one keyed hash of identifiers, and what requests are signed with."""

import pyarrow as pa
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.hmac import HMAC

ID_LENGTH = 32
"""Hexadecimal characters of a keyed identifier: 128 bits of the MAC."""


def digest(data: bytes) -> str:
    """SM3 as 64 lower-case hexadecimal characters."""
    hashed = hashes.Hash(hashes.SM3())
    hashed.update(data)
    return hashed.finalize().hex()


def signature(key: bytes, data: bytes) -> str:
    """HMAC-SM3 as 64 lower-case hexadecimal characters."""
    keyed = HMAC(key, hashes.SM3())
    keyed.update(data)
    return keyed.finalize().hex()


def keyed_hash(key: bytes, values: "pa.Array[pa.StringScalar]") -> "pa.Array[pa.StringScalar]":
    """The first 128 bits of HMAC-SM3 as lower-case hexadecimal, NULL for NULL. Shape: one result a value."""
    keyed = HMAC(key, hashes.SM3())
    return pa.array((None if text is None else _digest(keyed, text) for text in values.to_pylist()), pa.string())


def _digest(keyed: HMAC, text: str) -> str:
    context = keyed.copy()
    context.update(text.encode())
    return context.finalize().hex()[:ID_LENGTH]
