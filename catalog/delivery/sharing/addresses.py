"""Signed addresses of files: short-lived, bound to one file, one policy and one token, checked again at every use."""

import time
from dataclasses import dataclass
from urllib.parse import quote

from catalog.policy.decision import Reason
from catalog.signing import sign, verify

LIFE_SECONDS = 900
SIGNATURE = "X-Amz-Signature"
"""The name is not ours: clients take an address without one of a few known parameters for a local file."""


@dataclass(frozen=True)
class Address:
    """Which file of which extract. `token` is the public id of the token that asked, empty for anonymous callers."""

    product: str
    version: int
    key: str
    name: str
    token: str

    @property
    def path(self) -> str:
        """Below the server's prefix, not yet percent-encoded."""
        return f"/files/{self.product}/v{self.version}/{self.key}/{self.name}"

    def url(self, base: str, key: bytes, expires: int) -> str:
        """The signed address; `expires` in seconds since 1970."""
        signature = sign(key, self.path, self.token, str(expires))
        return f"{base}{quote(self.path)}?t={self.token}&e={expires}&{SIGNATURE}={signature}"


def expiry() -> int:
    """When an address made now ends, in seconds since 1970."""
    return int(time.time()) + LIFE_SECONDS


def problem(address: Address, key: bytes, expires: str, signature: str) -> Reason | None:
    """What is wrong with an address: not signed by us, or too old; None for a good one."""
    if not verify(key, signature, address.path, address.token, expires):
        return Reason.ADDRESS_INVALID
    return Reason.ADDRESS_EXPIRED if int(expires) < time.time() else None
