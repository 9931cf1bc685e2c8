"""Credentials of HTTP sources: what a connection's secret says, and how a request proves who asks.

The secret of an HTTP connection is a JSON object, `{"url": "https://host/base", ...}` with the values that the
contract's `auth` needs; a bare URL stands for an object that has only `url`. The contract says how to prove, never with
what. Sending and following redirects does not belong here.
"""

import json
import secrets
import time
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Literal, NotRequired, Protocol

import httpx
from pydantic import Field, with_config
from typing_extensions import TypedDict  # pydantic reads that of `typing` only from Python 3.12 on

from pipelines.codecs import sm3
from pipelines.verbs import STRICT


@with_config(STRICT)
class HeaderAuth(TypedDict):
    """The secret's `key` in a header, after `prefix`."""

    by: Literal["header"]
    header: str
    prefix: NotRequired[str]


@with_config(STRICT)
class QueryAuth(TypedDict):
    """The secret's `key` as a query parameter."""

    by: Literal["query"]
    parameter: str


@with_config(STRICT)
class BasicAuth(TypedDict):
    """The secret's `user` and `password` (or those in its URL) by HTTP Basic."""

    by: Literal["basic"]


@with_config(STRICT)
class OAuth2Auth(TypedDict):
    """A token from the secret's `token_url` for its `client_id` and `client_secret` (RFC 6749, client credentials);
    `sends`: where the token endpoint wants them."""

    by: Literal["oauth2"]
    scope: NotRequired[str]
    sends: NotRequired[Literal["header", "body"]]


@with_config(STRICT)
class Sm3Auth(TypedDict):
    """A signature by HMAC-SM3 with the secret's `app_id` and `app_secret`; the keys name the headers."""

    by: Literal["sm3"]
    app: str
    timestamp: str
    nonce: str
    signature: str


Auth = Annotated[HeaderAuth | QueryAuth | BasicAuth | OAuth2Auth | Sm3Auth, Field(discriminator="by")]

_NEEDED: dict[str, tuple[str, ...]] = {
    "header": ("key",),
    "query": ("key",),
    "basic": ("user", "password"),
    "oauth2": ("client_id", "client_secret", "token_url"),
    "sm3": ("app_id", "app_secret"),
}


class BadSecret(Exception):
    """A secret that cannot be used. `missing`: the names that are not there; its text is told to nobody."""

    def __init__(self, *missing: str) -> None:
        self.missing = missing
        super().__init__()


@dataclass(frozen=True)
class Secret:
    """What a connection's secret says. `url`: the base address without account and query; `parameters`: its query,
    sent with each request; `values`: everything else."""

    url: httpx.URL
    parameters: httpx.QueryParams = field(repr=False)
    values: dict[str, str] = field(repr=False)

    @classmethod
    def parse(cls, text: str, auth: Auth | None) -> "Secret":
        """Raises BadSecret if it is neither a URL nor such an object, or lacks what `auth` needs."""
        values = _object(text) if text.lstrip().startswith("{") else {"url": text}
        try:
            url = httpx.URL(values.pop("url", ""))
        except httpx.InvalidURL:
            raise BadSecret("url") from None
        if url.scheme not in ("http", "https") or not url.host:
            raise BadSecret("url")
        if url.userinfo:
            values = {"user": url.username, "password": url.password, **values}
        missing = [name for name in _NEEDED.get(auth["by"] if auth else "", ()) if not values.get(name)]
        # What stands in headers as it is; bytes that cannot are not told by the errors of others.
        missing += [name for name in ("key", "app_id") if not _fits_header(values.get(name, ""))]
        if missing:
            raise BadSecret(*missing)
        bare = url.copy_with(username=None, password=None, query=None, fragment=None)
        return cls(bare, url.params, values)


def _fits_header(value: str) -> bool:
    return value.isascii() and (value.isprintable() or not value)


def _object(text: str) -> dict[str, str]:
    try:
        found = json.loads(text)
    except ValueError:
        raise BadSecret("url") from None
    wrong = sorted(name for name, value in found.items() if not isinstance(value, str))
    if wrong:
        raise BadSecret(*wrong)
    return dict(found)


class Credentials(Protocol):
    """How a request proves who asks. Signs requests to the connection's own host, and no other."""

    def sign(self, request: httpx.Request) -> None:
        """Add the proof to a request that is complete otherwise."""

    def renew(self) -> bool:
        """After an answer 401: whether another proof may be tried."""


class Anonymous:
    """No proof."""

    def sign(self, request: httpx.Request) -> None:
        pass

    def renew(self) -> bool:
        return False


@dataclass
class InHeader(Anonymous):
    """A header that never changes."""

    name: str
    value: str = field(repr=False)

    def sign(self, request: httpx.Request) -> None:
        request.headers[self.name] = self.value


@dataclass
class InQuery(Anonymous):
    """A query parameter that never changes."""

    name: str
    value: str = field(repr=False)

    def sign(self, request: httpx.Request) -> None:
        request.url = request.url.copy_set_param(self.name, self.value)


class Signed(Anonymous):
    """HMAC-SM3 over what is asked; the canonical string is in docs/connectors.md."""

    def __init__(self, headers: Sm3Auth, app: str, secret: str) -> None:
        self.headers, self.app, self.secret = headers, app, secret.encode()

    def sign(self, request: httpx.Request) -> None:
        path, _, query = request.url.raw_path.decode("ascii").partition("?")
        moment, nonce = str(time.time_ns() // 1_000_000), secrets.token_hex(16)
        pairs = "&".join(sorted(query.split("&")))
        parts = [request.method, path, pairs, sm3.digest(request.content), moment, nonce]
        proof = sm3.signature(self.secret, "\n".join(parts).encode("ascii"))
        for name, value in (("app", self.app), ("timestamp", moment), ("nonce", nonce), ("signature", proof)):
            request.headers[self.headers[name]] = value  # type: ignore[literal-required]


class Token:
    """A bearer token, fetched when first needed and kept for the pull. `fetch` gets a new one."""

    def __init__(self, fetch: Callable[[], str]) -> None:
        self.fetch = fetch
        self.token = ""

    def sign(self, request: httpx.Request) -> None:
        self.token = self.token or self.fetch()
        request.headers["Authorization"] = f"Bearer {self.token}"

    def renew(self) -> bool:
        self.token = ""
        return True


def basic(user: str, password: str) -> str:
    """The value of an Authorization header by RFC 7617."""
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode("ascii")


def credentials(secret: Secret, auth: Auth | None, fetch_token: Callable[[], str]) -> Credentials:
    """How requests of this connection prove who asks."""
    values = secret.values
    if auth is None or auth["by"] == "basic":
        known = "user" in values
        return InHeader("Authorization", basic(values["user"], values.get("password", ""))) if known else Anonymous()
    if auth["by"] == "header":
        return InHeader(auth["header"], auth.get("prefix", "") + values["key"])
    if auth["by"] == "query":
        return InQuery(auth["parameter"], values["key"])
    if auth["by"] == "sm3":
        return Signed(auth, values["app_id"], values["app_secret"])
    return Token(fetch_token)
