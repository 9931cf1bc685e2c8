"""The profile file of the Delta Sharing protocol: where a server is and what it knows this recipient by.

It is a secret as a whole. Nothing of it is ever told in a message but the day it expired.
"""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx

from pipelines.connectors.oauth import OAuthClient
from pipelines.messages import CitylakeError

BEARER, OAUTH = (1, "bearer_token"), (2, "oauth_client_credentials")
"""Version and type of profiles with a token, and of those with a client that gets its tokens from the server."""


@dataclass(frozen=True)
class Profile:
    """`endpoint`: the address that the protocol's paths begin with. Either a token, or a client that gets tokens."""

    endpoint: httpx.URL
    token: str = field(default="", repr=False)
    client: OAuthClient | None = None


def read_profile(text: str, connection: str, owner: str) -> Profile:
    """The profile in the text of a profile file. Raises CitylakeError if it is none, or its day has passed."""
    try:
        found = json.loads(text)
        kind = found["shareCredentialsVersion"], found.get("type", BEARER[1])
        if kind not in (BEARER, OAUTH):
            raise CitylakeError("pull.profile_version", connection=connection, owner=owner)
        endpoint, expires = _address(found["endpoint"].rstrip("/")), _moment(found.get("expirationTime"))
        if kind == BEARER:
            profile = Profile(endpoint, _plain(found["bearerToken"]))
        else:
            known = str(_address(found["tokenEndpoint"])), _plain(found["clientId"]), _plain(found["clientSecret"])
            profile = Profile(endpoint, client=OAuthClient(*known, _plain(found.get("scope") or "") or None))
    except (ValueError, KeyError, TypeError, AttributeError, httpx.InvalidURL):
        # the error may quote the token
        raise CitylakeError("pull.no_profile", connection=connection, owner=owner) from None
    if expires is not None and expires < datetime.now(UTC):
        day = expires.date().isoformat()
        raise CitylakeError("pull.profile_expired", connection=connection, day=day, owner=owner)
    return profile


def _address(text: str) -> httpx.URL:
    """Raises ValueError, TypeError or httpx.InvalidURL for what is none."""
    address = httpx.URL(text)
    if address.scheme not in ("http", "https") or not address.host:
        raise ValueError
    return address


def _plain(text: str) -> str:
    """What can stand in a header. Raises ValueError or AttributeError."""
    if not (text.isascii() and (text.isprintable() or not text)):
        raise ValueError
    return text


def _moment(text: Any) -> datetime | None:
    """When a token expires, None for one that does not say. Raises ValueError or TypeError."""
    if text is None or text == "":
        return None
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
