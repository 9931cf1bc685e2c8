"""SM4-GCM (GB/T 32907-2016, RFC 8998) for single texts that whoever has the key can open again.

The nonce of a text is made of it: 96 bits of its HMAC-SM3 under a second key. So a text is sealed the same way each
time, as change sets and cached views need, and two texts have one nonce with a probability of about n²/2⁹⁷ for n of
them under one key. Which key is whose does not belong here.
"""

import base64
import binascii

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import SM4
from cryptography.hazmat.primitives.hmac import HMAC

PREFIX = "sm4gcm."
KEY_BYTES, NONCE_BYTES, TAG_BYTES = 16, 12, 16


class Sealer:
    """Seals and opens texts under 32 bytes: the key of the cipher, then the one that nonces are made with."""

    def __init__(self, key: bytes) -> None:
        if len(key) != 2 * KEY_BYTES:
            raise ValueError("a sealer needs 32 bytes")
        self.opening_key = key[:KEY_BYTES]
        """All that is needed to open."""
        self._cipher = SM4(self.opening_key)
        self._nonces = HMAC(key[KEY_BYTES:], hashes.SM3())

    def seal(self, text: str) -> str:
        """`sm4gcm.` and, in URL-safe base64, nonce, ciphertext and tag."""
        plain = text.encode()
        nonces = self._nonces.copy()
        nonces.update(plain)
        nonce = nonces.finalize()[:NONCE_BYTES]
        made = Cipher(self._cipher, modes.GCM(nonce)).encryptor()
        sealed = made.update(plain) + made.finalize()
        return PREFIX + base64.urlsafe_b64encode(nonce + sealed + made.tag).decode()

    def open(self, sealed: str) -> str:
        """The text. Raises ValueError for whatever was not sealed under this key."""
        try:
            data = base64.b64decode(sealed.removeprefix(PREFIX), altchars=b"-_", validate=True)
            nonce, text, tag = data[:NONCE_BYTES], data[NONCE_BYTES:-TAG_BYTES], data[-TAG_BYTES:]
            opened = Cipher(self._cipher, modes.GCM(nonce, tag)).decryptor()
            return (opened.update(text) + opened.finalize()).decode()
        except (InvalidTag, binascii.Error, ValueError) as error:
            raise ValueError("not sealed under this key") from error
