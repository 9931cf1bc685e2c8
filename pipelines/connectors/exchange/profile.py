"""The profile file of the Delta Sharing protocol: where a server is and the token that it knows this recipient by.

It is a secret as a whole. Nothing of it is ever told in a message but the day it expired.
"""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx

from pipelines.messages import CitylakeError

VERSION = 1
"""Of profiles with a bearer token. Version 2 means OAuth, which is not spoken here."""


@dataclass(frozen=True)
class Profile:
    """`endpoint`: the address that the protocol's paths begin with."""

    endpoint: httpx.URL
    token: str = field(repr=False)


def read_profile(text: str, connection: str, owner: str) -> Profile:
    """The profile in the text of a profile file. Raises CitylakeError if it is none, or its day has passed."""
    try:
        found = json.loads(text)
        if found["shareCredentialsVersion"] != VERSION or found.get("type", "bearer_token") != "bearer_token":
            raise CitylakeError("pull.profile_version", connection=connection, owner=owner)
        endpoint, token = httpx.URL(found["endpoint"].rstrip("/")), found["bearerToken"]
        expires = _moment(found.get("expirationTime"))
        if (
            endpoint.scheme not in ("http", "https")
            or not endpoint.host
            or not (token.isascii() and token.isprintable())
        ):
            raise ValueError
    except (ValueError, KeyError, TypeError, AttributeError, httpx.InvalidURL):
        # the error may quote the token
        raise CitylakeError("pull.no_profile", connection=connection, owner=owner) from None
    if expires is not None and expires < datetime.now(UTC):
        day = expires.date().isoformat()
        raise CitylakeError("pull.profile_expired", connection=connection, day=day, owner=owner)
    return Profile(endpoint, token)


def _moment(text: Any) -> datetime | None:
    """When a token expires, None for one that does not say. Raises ValueError or TypeError."""
    if text is None or text == "":
        return None
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
