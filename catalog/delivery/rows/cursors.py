"""Cursors: where a page ended, sealed. Nobody can read, change or make one, nor use it with another question.

A cursor holds values of the last row, so it is encrypted, not only signed: addresses end up in logs. AES-SIV
(RFC 5297) gives the same cursor for the same page, so that equal questions get equal answers.
"""

import binascii
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from catalog.delivery.rows.problems import Problem
from pipelines.register.chain import canonical

MOST = 20_000
_VERSION_BYTES = 8
_TAG_BYTES = 16

Place = tuple[str | None, ...]
"""The values of the ordering columns of the last row shown, as text."""


def seal(key: bytes, version: int, question: object, place: Place) -> str:
    """The cursor of a place in the answer to `question` about a version. Base64url without padding."""
    head = version.to_bytes(_VERSION_BYTES, "big")
    sealed = AESSIV(key).encrypt(json.dumps(place, ensure_ascii=False).encode(), [head, _bound(question)])
    return _text(head + sealed)


def version_of(cursor: str) -> int:
    """The version a cursor is about, not yet proved by `unseal`. Raises Problem for anything that is no cursor."""
    return int.from_bytes(_bytes(cursor)[:_VERSION_BYTES], "big")


def unseal(key: bytes, version: int, question: object, cursor: str) -> Place:
    """The place of a cursor. Raises Problem if it was not made here for this version and question."""
    data = _bytes(cursor)
    if int.from_bytes(data[:_VERSION_BYTES], "big") != version:
        raise Problem("bad_cursor", "cursor")
    try:
        opened = AESSIV(key).decrypt(data[_VERSION_BYTES:], [data[:_VERSION_BYTES], _bound(question)])
    except InvalidTag as error:
        raise Problem("bad_cursor", "cursor") from error
    return tuple(json.loads(opened))


def _bytes(cursor: str) -> bytes:
    try:
        data = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4)) if len(cursor) < MOST else b""
    except (binascii.Error, ValueError) as error:
        raise Problem("bad_cursor", "cursor") from error
    if len(data) <= _VERSION_BYTES + _TAG_BYTES or _text(data) != cursor:
        raise Problem("bad_cursor", "cursor")
    return data


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")


def _bound(question: object) -> bytes:
    return canonical(question).encode()
