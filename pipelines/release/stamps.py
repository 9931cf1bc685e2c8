"""Time stamps (RFC 3161) on signed heads: an authority outside this system says that a head was there at a moment.

Whoever steals the signing key can make all heads anew, but not with yesterday's stamps. The newest head of a chain is
stamped; it names the hash of the head before, so the stamp is one of all earlier heads too. What is stamped is the
SHA-256 of the head's statement: the hash by which the next head names it. Belongs here: asking the authority, and
keeping its tokens. Does not belong here: judging them later (release/check, which runs without citylake).
"""

import hashlib
import secrets
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import httpx
import sqlalchemy as sa
from cryptography.x509 import Certificate, load_pem_x509_certificate

from pipelines.messages import CitylakeError
from pipelines.register.heads import newest
from pipelines.register.store import Register
from pipelines.register.tables import head_stamp, ledger
from pipelines.release.check import SEQUENCE, NotStamped, read_der, stamp_of

Authority = Callable[[bytes], bytes]
"""The DER token (a ContentInfo, RFC 5652) of a time stamp on a message. Raises CitylakeError if there is none to be
had, or none to be believed."""
MOST_BYTES = 64 * 1024
"""Of an answer: a token with its certificates has a few thousand."""
TIMEOUT = httpx.Timeout(10.0)
PATIENCE = 30.0
"""Seconds that a whole answer may take: a server that sends a byte now and then would hold up the run."""


def authority(address: str, certificate: str) -> Authority:
    """An authority that answers over HTTP (RFC 3161, 3.4). `certificate`: of the authority, or of who issued its; PEM.

    Raises CitylakeError for text that is no certificate.
    """
    try:
        trusted = load_pem_x509_certificate(certificate.encode())
    except ValueError as error:
        raise CitylakeError("stamps.certificate") from error
    return lambda message: _asked(address, trusted, message)


def stamp(register: Register, asked: Authority, of: sa.Table = ledger) -> None:
    """Put a stamp on the newest head of a chain, if it has none. Raises CitylakeError as the authority does."""
    head = newest(register, of)
    if head is None or head.stamp is not None:
        return
    token = asked(head.statement.encode())
    with register.begin() as connection:
        row = {"chain": of.name, "sequence": head.sequence, "token": token.hex()}
        connection.execute(sa.insert(head_stamp).values(**row))


def query(message: bytes, nonce: int) -> bytes:
    """A TimeStampReq (RFC 3161, 2.4.1) in DER: version 1, SHA-256 of the message, a number below 2 ** 63 and at least
    2 ** 56, which has 8 bytes then, and the wish for the authority's certificate."""
    return b"".join(
        [
            bytes.fromhex("3043020101"),
            bytes.fromhex("3031300d060960864801650304020105000420") + hashlib.sha256(message).digest(),
            bytes.fromhex("0208") + nonce.to_bytes(8, "big"),
            bytes.fromhex("0101ff"),
        ]
    )


def _asked(address: str, trusted: Certificate, message: bytes) -> bytes:
    nonce = 2**56 + secrets.randbelow(2**62)  # an old answer is none
    answer = _posted(address, query(message, nonce))
    try:
        token = read_der(answer).parts(SEQUENCE, SEQUENCE)[1].whole
        if stamp_of(token, message, [trusted]).nonce != nonce:
            raise NotStamped("nonce")
    except (IndexError, NotStamped) as error:
        raise CitylakeError("stamps.not_good", address=_host(address)) from error
    return token


def _posted(address: str, request: bytes) -> bytes:
    """The body of the answer."""
    try:
        kind = {"Content-Type": "application/timestamp-query"}
        with httpx.stream("POST", address, content=request, headers=kind, timeout=TIMEOUT) as answer:
            if answer.status_code != httpx.codes.OK:
                raise CitylakeError("stamps.refused", address=_host(address), status=answer.status_code)
            body, end = b"", time.monotonic() + PATIENCE
            for part in answer.iter_raw():
                body += part
                if len(body) > MOST_BYTES or time.monotonic() > end:
                    raise CitylakeError("stamps.not_good", address=_host(address))
            return body
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
        problem = type(error).__name__
        raise CitylakeError("stamps.unreachable", address=_host(address), problem=problem) from error


def _host(address: str) -> str:
    """The part of an address that may be told: the rest may hold a key."""
    return urlsplit(address).netloc
