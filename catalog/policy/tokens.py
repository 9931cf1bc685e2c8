"""Tokens: made, taken apart and checked. Storing them and deciding what they open belongs elsewhere.

A token is `cl_<id>_<secret>`: a public id of 16 hexadecimal characters and a secret of 256 random bits, of which only
an argon2id hash is kept. An OAuth client has the same two parts, the id as `client_id`, the secret as `client_secret`.
An access token, `ca_<client_id>_<expires>_<signature>`, is what a client gets for them: it is kept nowhere, and is good
for as long as it says, if the client still is.
"""

import hashlib
import hmac
import re
import secrets
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from catalog.signing import sign, verify
from pipelines.waits import waits

_FORM = re.compile(r"cl_(?P<id>[0-9a-f]{16})_(?P<secret>[0-9a-f]{64})")
HASHER = PasswordHasher(time_cost=2, memory_cost=19456, parallelism=1)
"""Argon2id with the parameters that OWASP names; also of passwords and invitations."""
_ACCESS = re.compile(r"ca_(?P<client>[0-9a-f]{16})_(?P<expires>[1-9][0-9]{0,11})_(?P<signature>[0-9a-f]{64})", re.ASCII)
ACCESS_SECONDS = 900
"""How long an access token is good: as long as the signed address of a file."""
REMEMBER_SECONDS = 43_200.0
"""A client shows its secret every quarter of an hour; whether it was ended is asked of the register each time."""
REMEMBER_MOST = 1024


@dataclass(frozen=True)
class Secret:
    """A token's two parts. The text never shows in a log: `repr` hides the secret."""

    id: str
    secret: str = field(repr=False)

    @property
    def text(self) -> str:
        """The token as its holder keeps it."""
        return f"cl_{self.id}_{self.secret}"


def make(asked: object = None) -> Secret:
    """A new token. `asked`: what names the request for it, so that the same request makes the same id, which is no
    secret; the secret is always a new one."""
    named = secrets.token_hex(8) if asked is None else hashlib.sha256(repr(asked).encode()).hexdigest()[:16]
    return Secret(named, secrets.token_hex(32))


def parse(text: str) -> Secret | None:
    """The parts of a token, None for anything else."""
    found = _FORM.fullmatch(text.strip())
    return Secret(found["id"], found["secret"]) if found else None


@dataclass(frozen=True)
class Fresh:
    """A secret that is nobody's yet, and what is stored of it."""

    secret: Secret
    hash: str


def fresh(asked: object = None) -> Fresh:
    """A new secret. Argon2 takes its time, so this comes before the register is kept from others."""
    made = make(asked)
    return Fresh(made, hashed(made))


def hashed(token: Secret) -> str:
    """What is stored of a token."""
    return HASHER.hash(token.secret)


def hash_fits(stored: str, secret: str) -> bool:
    """Whether a stored hash is that of a secret; False for a text that is no hash too."""
    waits()
    try:
        return HASHER.verify(stored, secret)
    except (VerificationError, InvalidHashError):
        return False


def of_client(client_id: str, client_secret: str) -> Secret | None:
    """A client's credentials, None for what cannot be any."""
    return parse(f"cl_{client_id}_{client_secret}")


@dataclass(frozen=True)
class Access:
    """An access token's parts; `expires` in seconds since 1970."""

    client: str
    expires: int
    signature: str = field(repr=False)

    def signed_with(self, key: bytes) -> bool:
        """Whether it was made with this key."""
        return verify(key, self.signature, "access", self.client, str(self.expires))


def access_token(key: bytes, client: str, expires: int) -> str:
    """A client's access token that ends at `expires`, in seconds since 1970."""
    return f"ca_{client}_{expires}_{sign(key, 'access', client, str(expires))}"


def parse_access(text: str) -> Access | None:
    """The parts of an access token, None for anything else."""
    found = _ACCESS.fullmatch(text.strip())
    return Access(found["client"], int(found["expires"]), found["signature"]) if found else None


class Verifier:
    """Checks secrets against stored hashes and remembers good ones briefly, so that argon2 is not paid each time.

    It remembers only that a secret fits a hash; whether the token is still in force is looked up on every request.
    """

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._good: OrderedDict[bytes, float] = OrderedDict()
        self._lock = threading.Lock()

    def remembers(self, token: Secret, stored: str) -> bool:
        """Whether it was found good a moment ago."""
        return self._remembered(self._mark(token, stored))

    def fits(self, token: Secret, stored: str) -> bool:
        """Whether the secret is the one whose hash is stored."""
        mark = self._mark(token, stored)
        if self._remembered(mark):
            return True
        if not hash_fits(stored, token.secret):
            return False
        self._remember(mark)
        return True

    def _mark(self, token: Secret, stored: str) -> bytes:
        return hmac.new(self._key, f"{token.secret} {stored}".encode(), hashlib.sha256).digest()

    def _remembered(self, mark: bytes) -> bool:
        with self._lock:
            until = self._good.get(mark)
            return until is not None and time.monotonic() < until

    def _remember(self, mark: bytes) -> None:
        with self._lock:
            self._good[mark] = time.monotonic() + REMEMBER_SECONDS
            self._good.move_to_end(mark)
            while len(self._good) > REMEMBER_MOST:
                self._good.popitem(last=False)
