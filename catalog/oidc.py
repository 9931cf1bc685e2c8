"""Signing in by an OpenID provider: authorization code flow with PKCE (OpenID Connect Core 1.0, RFC 7636).

Belongs here: the protocol: where a browser is sent, what is asked of the provider, what its ID token must say. Nothing
is asked of it before somebody signs in. Does not belong here: whose subject it is (`catalog.policy.identities`).
"""

import asyncio
import base64
import hashlib
import hmac
import logging
import math
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_plus

import httpx
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry, Key
from joserfc.jws import extract_compact

from catalog.policy.identities import Identity, NotShown
from pipelines.settings import Provider, is_safe_address

log = logging.getLogger(__name__)

TIMEOUT = httpx.Timeout(10.0, connect=3.0)
WHOLE_SECONDS = 10
"""An answer is there after so long, whole: one that comes drop by drop is none."""
AGAIN_SECONDS = 10
"""After so long a provider that could not be reached is asked again: whoever comes meanwhile does not wait for it."""
ALGORITHMS = ("RS256", "PS256", "ES256")
"""Signatures that count: by a key of the provider's own. `none` and keys that are shared are not among them."""
LEEWAY = 60
"""Seconds that the provider's clock may be before or behind."""
KEPT_SECONDS = 3600
"""How long the provider's addresses and keys are believed."""
MEANWHILE = 60
"""Seconds that they are believed longer, by whoever comes while they are asked for anew."""
WAIT_SECONDS = 1
"""How long somebody waits for what another is just asking."""
EXCHANGES = 16
"""Codes that are exchanged at once: a provider that hangs then holds no more of the service's threads."""
KEYS_EVERY = 60
"""Seconds after which keys may be asked for again, when none that is known fits a token."""
SECOND_FACTOR = "mfa"
"""What `amr` says of somebody who showed more than one factor (RFC 8176)."""
MALFORMED = (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError, httpx.InvalidURL)
"""How libraries fail at what is well signed, or came by TLS, and of no form that they expect."""


@contextmanager
def _readable() -> Iterator[None]:
    """What the provider says and cannot be read shows nobody; it is no fault of ours that would tell nobody why."""
    try:
        yield
    except MALFORMED as error:
        log.error("what the provider says cannot be read: %s", type(error).__name__)
        raise NotShown("answer") from error


@dataclass(frozen=True)
class Flow:
    """What the browser that began keeps until it comes back: nobody else can end what it began."""

    state: str
    nonce: str
    verifier: str = field(repr=False)


@dataclass(frozen=True)
class _Known:
    """The provider's own description and its keys, and when they were asked for."""

    about: Mapping[str, Any]
    keys: tuple[Key, ...]
    at: float


class RelyingParty:
    """This installation as a client of one provider. Safe to use from many threads. `callback`: the address to which
    the provider sends browsers back; `clock`: the time, in seconds since 1970."""

    def __init__(self, provider: Provider, secret: str, callback: str, clock: Callable[[], float] = time.time) -> None:
        self.provider = provider
        self._secret = secret
        self._callback = callback
        self._clock = clock
        self._known: _Known | None = None
        self._failed = float("-inf")
        self._guard = threading.Lock()
        self._exchanges = threading.BoundedSemaphore(EXCHANGES)

    @_readable()
    def begin(self) -> tuple[str, Flow]:
        """The address where a browser signs in, and what it keeps. Raises NotShown."""
        flow = Flow(*(secrets.token_urlsafe(32) for _ in range(3)))
        digest = hashlib.sha256(flow.verifier.encode()).digest()
        asked = {
            "response_type": "code",
            "client_id": self.provider.client_id,
            "redirect_uri": self._callback,
            "scope": " ".join(("openid", *self.provider.scopes)),
            "state": flow.state,
            "nonce": flow.nonce,
            "code_challenge": base64.urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        if self.provider.acr:
            asked["acr_values"] = " ".join(self.provider.acr)
        address = httpx.URL(self._about().about["authorization_endpoint"])
        return str(address.copy_merge_params(asked)), flow

    @_readable()
    def identity(self, flow: Flow | None, answer: Mapping[str, str]) -> Identity:
        """Who the provider shows by the answer with which it sent a browser back. Raises NotShown."""
        if flow is None:
            raise NotShown("flow")
        if not hmac.compare_digest(answer.get("state", "").encode(), flow.state.encode()):
            raise NotShown("state")
        if answer.get("iss", self.provider.issuer) != self.provider.issuer:  # RFC 9207
            raise NotShown("issuer")
        if "error" in answer or not answer.get("code"):
            raise NotShown("refused")
        token = self._exchanged(answer["code"], flow.verifier)
        return shown_by(self._verified(token), self.provider, flow.nonce, self._clock())

    def _exchanged(self, code: str, verifier: str) -> str:
        """The ID token for a code."""
        about = self._about().about
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._callback,
            "code_verifier": verifier,
        }
        client, secret, auth = self.provider.client_id, self._secret, None
        methods = about.get("token_endpoint_auth_methods_supported")
        if not isinstance(methods, list) or "client_secret_basic" in methods:
            auth = httpx.BasicAuth(quote_plus(client), quote_plus(secret))
        else:
            form |= {"client_id": client, "client_secret": secret}
        if not self._exchanges.acquire(blocking=False):
            raise NotShown("unreachable")
        try:
            status, body = _ask("POST", about["token_endpoint"], data=form, auth=auth)
        finally:
            self._exchanges.release()
        if status != 200:
            error = body.get("error")
            if error == "invalid_grant":
                raise NotShown("code")
            log.error("the provider refused to exchange a code: %s", error if isinstance(error, str) else status)
            raise NotShown("answer")
        token = body.get("id_token")
        if not isinstance(token, str):
            raise NotShown("answer")
        return token

    def _verified(self, token: str) -> dict[str, Any]:
        """What a token says, if it is signed by the provider."""
        known = self._about()
        claims = _signed(token, known.keys)
        if claims is None and (newer := self._about(KEYS_EVERY)) is not known:
            claims = _signed(token, newer.keys)
        if claims is None:
            raise NotShown("signature")
        return claims

    def _about(self, kept: float = KEPT_SECONDS) -> _Known:
        """The provider's description, asked for again when it is older than so many seconds. Whoever comes while
        another asks goes on with what is known; where nothing is, they wait a moment."""
        if (known := self._within(kept)) is not None:
            return known
        meanwhile = self._within(KEPT_SECONDS + MEANWHILE)
        if not self._guard.acquire(timeout=0 if meanwhile else WAIT_SECONDS):
            if meanwhile is None:
                raise NotShown("unreachable")
            return meanwhile
        try:
            return self._within(kept) or self._renewed()
        finally:
            self._guard.release()

    def _within(self, kept: float) -> _Known | None:
        """What is known and no older than so many seconds."""
        known = self._known
        return known if known is not None and self._clock() - known.at < kept else None

    def _renewed(self) -> _Known:
        """Ask anew, unless that failed just now; `_guard` is held."""
        if self._clock() - self._failed < AGAIN_SECONDS:
            raise NotShown("unreachable")
        try:
            self._known = self._asked()
        except NotShown:
            self._failed = self._clock()
            raise
        return self._known

    @_readable()
    def _asked(self) -> _Known:
        issuer = self.provider.issuer
        about = _got(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        if about.get("issuer") != issuer:
            log.error("the provider calls itself otherwise than CITYLAKE_OIDC_ISSUER does")
            raise NotShown("issuer")
        for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            if not is_safe_address(about.get(name)):
                log.error("the provider's description has no %s that is https", name)
                raise NotShown("answer")
        keys = _got(about["jwks_uri"]).get("keys")
        return _Known(about, tuple(_keys(keys if isinstance(keys, list) else [])), self._clock())


def shown_by(claims: Mapping[str, Any], provider: Provider, nonce: str, moment: float) -> Identity:
    """Who a token of the provider shows (OpenID Connect Core, 3.1.3.7). Raises NotShown."""
    if claims.get("iss") != provider.issuer:
        raise NotShown("issuer")
    audience = claims.get("aud")
    meant = audience if isinstance(audience, list) else [audience]
    party = claims.get("azp", provider.client_id if len(meant) == 1 else None)
    if provider.client_id not in meant or party != provider.client_id:
        raise NotShown("audience")
    if moment >= _time(claims, "exp") + LEEWAY or moment + LEEWAY < max(_time(claims, "iat"), _time(claims, "nbf", 0)):
        raise NotShown("expired")
    if not hmac.compare_digest(str(claims.get("nonce")).encode(errors="surrogatepass"), nonce.encode()):
        raise NotShown("nonce")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= 255 or not subject.isprintable():
        raise NotShown("subject")
    methods = claims.get("amr")
    second = SECOND_FACTOR in methods if isinstance(methods, list) else False
    return Identity(provider.issuer, subject, second or claims.get("acr") in provider.acr)


def _time(claims: Mapping[str, Any], name: str, otherwise: float | None = None) -> float:
    """A moment that a token names, in seconds since 1970. JSON of Python has numbers that never come: NaN, infinity."""
    value = claims.get(name, otherwise)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise NotShown("expired")
    try:
        moment = float(value)
    except OverflowError as error:
        raise NotShown("expired") from error
    if not math.isfinite(moment):
        raise NotShown("expired")
    return moment


def _signed(token: str, keys: tuple[Key, ...]) -> dict[str, Any] | None:
    """What a token says, if one of these keys signed it: the one that it names, any if it names none."""
    try:
        named = extract_compact(token.encode()).headers().get("kid")
    except (JoseError, *MALFORMED) as error:
        raise NotShown("signature") from error
    for key in keys:
        if named is None or key.kid == named:
            try:
                return dict(jwt.decode(token, key, algorithms=ALGORITHMS).claims)
            except (JoseError, *MALFORMED):
                continue
    return None


def _keys(found: list[object]) -> list[Key]:
    """The keys that can be read and are not for something else; a set may hold kinds that nobody here knows."""
    keys = []
    for one in found:
        if isinstance(one, dict) and one.get("kty") in ("RSA", "EC") and one.get("use", "sig") == "sig":
            try:
                keys.append(JWKRegistry.import_key(one))
            except (JoseError, *MALFORMED):  # a curve that is not known is a KeyError
                log.warning("a key of the provider cannot be read")
    return keys


def _got(address: str) -> Mapping[str, Any]:
    status, body = _ask("GET", address)
    if status != 200:
        log.error("the provider answered %s", status)
        raise NotShown("unreachable")
    return body


def _ask(method: str, address: str, **sent: Any) -> tuple[int, Mapping[str, Any]]:
    """Ask the provider: status and JSON object of its answer. Raises NotShown."""
    try:
        answer = asyncio.run(_answer(method, address, **sent))
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
        log.error("the provider cannot be reached: %s", type(error).__name__)
        raise NotShown("unreachable") from error
    if answer.status_code >= 500:
        log.error("the provider answered %s", answer.status_code)
        raise NotShown("unreachable")
    try:
        body = answer.json()
    except ValueError as error:
        raise NotShown("answer") from error
    if not isinstance(body, dict):
        raise NotShown("answer")
    return answer.status_code, body


async def _answer(method: str, address: str, **sent: Any) -> httpx.Response:
    """The whole answer: httpx alone bounds each read and not all of them. Routes run in threads of their own, so that
    a loop for one question is free to run."""
    async with asyncio.timeout(WHOLE_SECONDS), httpx.AsyncClient(timeout=TIMEOUT, trust_env=False) as client:
        return await client.request(method, address, **sent)
