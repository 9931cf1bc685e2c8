"""The second factor: codes that follow from a shared secret and the time (TOTP, RFC 6238; 30 seconds, 6 digits, SHA-1).

Belongs here: secrets, how they are sealed, which code counts. Does not belong here: whose they are (`credentials`).
"""

import base64
import logging
import os
from datetime import datetime

import pyotp
import segno
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pyotp.utils import strings_equal

log = logging.getLogger(__name__)

SECONDS = 30
DRIFT = 1
"""Steps that a clock may be before or behind (RFC 6238, 5.2)."""
KEY = "second_factor"
"""The name in `secrets/` of the key that seals."""
_NONCE = 12


def make() -> str:
    """A new secret of 160 bits, in base 32."""
    return pyotp.random_base32(32)


def uri(secret: str, account: str, issuer: str) -> str:
    """What an authenticator reads: the `otpauth` address of a secret."""
    return pyotp.TOTP(secret).provisioning_uri(name=account, issuer_name=issuer)


def drawn(address: str, title: str) -> str:
    """The same for a camera: a QR code, as SVG to stand in a page. It has no style and no script of its own."""
    code = segno.make(address, error="m", micro=False)
    return code.svg_inline(scale=5, dark="#000", light="#fff", title=title, svgclass="qr", lineclass=None)


def seal(key: bytes, account: str, secret: str) -> str:
    """A secret as the register keeps it: AES-256-GCM bound to its account, base 64."""
    nonce = os.urandom(_NONCE)
    return base64.b64encode(nonce + AESGCM(key).encrypt(nonce, secret.encode(), account.encode())).decode()


def unseal(key: bytes, account: str, sealed: str) -> str | None:
    """The secret again, None for one that was sealed for another account or with another key."""
    raw = base64.b64decode(sealed)
    try:
        return AESGCM(key).decrypt(raw[:_NONCE], raw[_NONCE:], account.encode()).decode()
    except InvalidTag:
        log.error("a second factor cannot be unsealed: secrets/%s.key is not the key it was sealed with", KEY)
        return None


def step(secret: str, code: str, moment: datetime, after: int | None) -> int | None:
    """The step of time whose code this is, None if it is none that counts at a moment.

    `after`: the last step whose code was taken: that one, and older ones, count no more, so no code counts twice.
    """
    typed = code.replace(" ", "")
    codes, present = pyotp.TOTP(secret), int(moment.timestamp()) // SECONDS
    for candidate in range(present + DRIFT, present - DRIFT - 1, -1):
        if (after is None or candidate > after) and strings_equal(codes.generate_otp(candidate), typed):
            return candidate
    return None
