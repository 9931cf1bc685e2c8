"""Sessions of people who pasted a token: a signed cookie that names the token's id and never holds the token."""

import time
from datetime import datetime
from urllib.parse import urlsplit

from fastapi import Request
from fastapi.responses import Response

from catalog.signing import sign, verify

COOKIE = "citylake_session"
LIFE_SECONDS = 8 * 3600


def begin(response: Response, request: Request, key: bytes, token_id: str, until: datetime) -> None:
    """Sign somebody in, at most `until` (UTC): the cookie is out of reach for scripts and for other sites."""
    expires = str(min(int(time.time()) + LIFE_SECONDS, int(until.timestamp())))
    response.set_cookie(
        COOKIE,
        f"{token_id}.{expires}.{sign(key, 'session', token_id, expires)}",
        max_age=LIFE_SECONDS,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
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
