"""Cookies of who is signed in. Of a recipient's token: its id, signed. Of a person: a session of the register, signed.
Of who is on the way to a provider and back: what shows that it is the same browser.

Neither holds a secret that opens anything elsewhere; whether token and session still hold is the register's to say.
"""

import base64
import time
from datetime import datetime
from urllib.parse import urlsplit

from fastapi import Request
from fastapi.responses import Response

from catalog.oidc import Flow
from catalog.signing import sign, verify

COOKIE = "citylake_session"
PERSON_COOKIE = "citylake_person"
LIFE_SECONDS = 8 * 3600
FLOW_COOKIE = "citylake_flow"
FLOW_PATH = "/login/provider"
FLOW_SECONDS = 600
"""How long somebody may take to sign in at a provider."""


def begin(response: Response, request: Request, key: bytes, token_id: str, until: datetime) -> None:
    """Sign somebody in, at most `until` (UTC): the cookie is out of reach for scripts and for other sites."""
    expires = str(min(int(time.time()) + LIFE_SECONDS, int(until.timestamp())))
    response.set_cookie(
        COOKIE,
        f"{token_id}.{expires}.{sign(key, 'session', token_id, expires)}",
        max_age=LIFE_SECONDS,
        httponly=True,
        samesite="strict",
        secure=_secure(request),
    )


def end(response: Response) -> None:
    """Sign somebody out."""
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")


def token_of(request: Request, key: bytes) -> str | None:
    """The token id of a session in force, None without one. Whether the token still holds is the register's to say."""
    parts = request.cookies.get(COOKIE, "").split(".")
    if len(parts) != 3:
        return None
    token_id, expires, signature = parts
    if not verify(key, signature, "session", token_id, expires) or int(expires) < time.time():
        return None
    return token_id


def begin_person(response: Response, request: Request, key: bytes, session: str, public: str = "") -> None:
    """Sign a person in, until their browser is closed at the longest; a token's session ends with it. `public`: where
    the service is, for one who was sent there."""
    signed = f"{session}.{sign(key, 'person', session)}"
    response.set_cookie(PERSON_COOKIE, signed, httponly=True, samesite="strict", secure=_secure(request, public))
    end(response)


def end_person(response: Response) -> None:
    """Take the cookie of a person back."""
    response.delete_cookie(PERSON_COOKIE, httponly=True, samesite="strict")


def person_of(request: Request, key: bytes) -> str | None:
    """The session that the cookie of a person names, None without one that this installation signed."""
    session, _, signature = request.cookies.get(PERSON_COOKIE, "").partition(".")
    return session if session and verify(key, signature, "person", session) else None


def begin_flow(response: Response, request: Request, key: bytes, flow: Flow, target: str, public: str) -> None:
    """Let a browser keep what it began at a provider, and where it goes on to; the way back from there, to the service
    at `public`, shows it."""
    expires, path = str(int(time.time()) + FLOW_SECONDS), base64.urlsafe_b64encode(target.encode()).decode()
    parts = (flow.state, flow.nonce, flow.verifier, expires, path)
    response.set_cookie(
        FLOW_COOKIE,
        ".".join((*parts, sign(key, "flow", *parts))),
        max_age=FLOW_SECONDS,
        path=FLOW_PATH,
        httponly=True,
        samesite="lax",
        secure=_secure(request, public),
    )


def end_flow(response: Response) -> None:
    """Whatever came of it, a way is gone once."""
    response.delete_cookie(FLOW_COOKIE, path=FLOW_PATH, httponly=True, samesite="lax")


def flow_of(request: Request, key: bytes) -> tuple[Flow | None, str]:
    """What this browser began at a provider and has not ended, None for nothing; the path it goes on to."""
    *parts, signature = request.cookies.get(FLOW_COOKIE, "").split(".")
    if len(parts) != 5 or not verify(key, signature, "flow", *parts) or int(parts[3]) < time.time():
        return None, ""
    return Flow(*parts[:3]), base64.urlsafe_b64decode(parts[4]).decode()


def _secure(request: Request, public: str = "") -> bool:
    """Whether a browser may keep a cookie for TLS alone. A proxy that ends TLS may not tell how it was asked: a form
    does, and whom a provider sends comes to the `public` address alone."""
    return (
        urlsplit(public).scheme == "https"
        or request.url.scheme == "https"
        or request.headers.get("origin", "").startswith("https://")
    )


def from_own_page(request: Request, url: str) -> bool:
    """Whether a form was posted by a page of this site, or by a client that is no browser.

    The site is at `url`; whoever reaches the service under another name, as on the machine itself, is at that.
    """
    origin = request.headers.get("origin")
    if origin is not None:
        public = urlsplit(url)
        own = f"{request.url.scheme}://{request.headers.get('host', '')}"
        return origin in (own, f"{public.scheme}://{public.netloc}".lower())
    return request.headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")
