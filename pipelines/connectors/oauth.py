"""Tokens of the client credentials grant (RFC 6749), for every connector that asks servers which want one.

Nothing of what was sent or answered is told. When to ask for another token is for `credentials` and its callers.
"""

import json
from dataclasses import dataclass, field

import httpx

from pipelines.connectors.credentials import basic


class NoToken(Exception):
    """The token endpoint gives no token. `problem`: a plain word; `passing`: it may at the next attempt; `retry_after`:
    what it said of when."""

    def __init__(self, problem: str, passing: bool = False, retry_after: str | None = None) -> None:
        self.problem, self.passing, self.retry_after = problem, passing, retry_after
        super().__init__(problem)


@dataclass(frozen=True)
class OAuthClient:
    """What a server knows this client by, and where it hands out tokens. `in_body`: it wants them in the form."""

    endpoint: str
    id: str = field(repr=False)
    secret: str = field(repr=False)
    scope: str | None = None
    in_body: bool = False

    def token(self, http: httpx.Client) -> str:
        """A new token. Raises NoToken, or httpx.RequestError if the endpoint does not answer."""
        form = {"grant_type": "client_credentials"} | ({"scope": self.scope} if self.scope else {})
        headers = {"Accept": "application/json"}
        if self.in_body:
            form |= {"client_id": self.id, "client_secret": self.secret}
        else:
            headers["Authorization"] = basic(self.id, self.secret)
        try:
            response = http.post(self.endpoint, data=form, headers=headers, follow_redirects=False)
        except (httpx.InvalidURL, httpx.UnsupportedProtocol):
            raise NoToken("token_url") from None
        if response.status_code == httpx.codes.TOO_MANY_REQUESTS or response.is_server_error:
            raise NoToken(str(response.status_code), True, response.headers.get("Retry-After"))
        if response.status_code != httpx.codes.OK:
            raise NoToken(str(response.status_code))
        try:
            token = json.loads(response.content)["access_token"]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise NoToken("access_token") from None
        if not (isinstance(token, str) and token.isascii() and token.isprintable() and token):
            raise NoToken("access_token")
        return token
