"""The token endpoint: a recipient's program exchanges its OAuth client's credentials for a short-lived access token.

OAuth 2.0 client credentials (RFC 6749, 4.4) with `client_secret_basic` or `client_secret_post`, and the errors of 5.2.
Belongs here: the form of questions and answers. Who the client is, and what its tokens open, is decided elsewhere.
"""

import base64
import binascii
from collections.abc import Mapping
from functools import partial
from typing import Annotated
from urllib.parse import parse_qsl, unquote_plus

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse

from catalog import metering
from catalog.delivery.desk import Desk, token_id
from catalog.policy import audit
from catalog.policy.administration import SCOPE, TOKEN_ENDPOINT
from catalog.policy.decision import Reason
from pipelines.messages import say

PREFIX = "/oauth/"
ROAD, ACTION = "oauth", "token.exchange"
GRANT = "client_credentials"
MOST_FIELDS = 20
_NOT_KEPT = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_ERRORS = {429: "temporarily_unavailable", 500: "server_error", 503: "temporarily_unavailable"}


class BadRequest(Exception):
    """A question that is not one of the protocol. `error`: its code in RFC 6749; the text is message `oauth.<rule>`."""

    def __init__(self, error: str, rule: str) -> None:
        self.error = error
        self.rule = rule
        super().__init__(rule)

    def answer(self) -> JSONResponse:
        """The answer for it."""
        return told(400, say(f"oauth.{self.rule}"), self.error)


async def _body(request: Request) -> bytes:
    return await request.body()


def build_router(desk: Desk) -> APIRouter:
    """The endpoint's route over one desk."""
    router = APIRouter()

    @router.post(TOKEN_ENDPOINT)
    def token(request: Request, body: Annotated[bytes, Depends(_body)]) -> JSONResponse:
        form = _form(request, body)
        client_id, client_secret = _credentials(request, form)
        _require_grant(form)
        caller = desk.callers.from_client(client_id, client_secret, partial(metering.origin, desk, request))
        metering.asks(desk, request, caller, ACTION, ROAD)
        if caller.problem is not None:
            raise desk.refuse(caller, None, caller.problem, ACTION, ROAD)
        access, seconds = desk.callers.access_token(caller)
        said = {"road": ROAD, "seconds": seconds, **token_id(caller)}
        audit.record(desk.register, ACTION, "allowed", said, recipient=caller.recipient, application=caller.application)
        answer = {"access_token": access, "token_type": "Bearer", "expires_in": seconds, "scope": SCOPE}
        return JSONResponse(answer, headers=_NOT_KEPT)

    return router


def denied(reason: Reason, text: str) -> JSONResponse:
    """The answer to a client that was refused; `text` says why, where that is not about the client itself."""
    if reason is Reason.SUSPENDED:  # it showed who it is
        return told(400, text, "unauthorized_client")
    if reason in (Reason.TOO_MANY, Reason.LOCKED):
        return told(429, text)
    answer = told(401, say(f"oauth.{reason.value}"), "invalid_client")
    answer.headers["WWW-Authenticate"] = 'Basic realm="citylake"'
    return answer


def told(status: int, text: str, error: str | None = None) -> JSONResponse:
    """An error answer. `text`: Chinese and English, a line each; the protocol's own description takes ASCII alone."""
    english = text.rpartition("\n")[2].replace('"', "'").replace("\\", "/")
    body = {
        "error": error or _ERRORS.get(status, "invalid_request"),
        "error_description": english.encode("ascii", "replace").decode(),
        "message": text,
    }
    return JSONResponse(body, status, _NOT_KEPT)


def _form(request: Request, body: bytes) -> dict[str, str]:
    """The fields of the question. Raises BadRequest: no field may come twice."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise BadRequest("invalid_request", "form")
    try:
        fields = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="strict")
    except ValueError as error:
        raise BadRequest("invalid_request", "form") from error
    form = dict(fields)
    if len(form) < len(fields):
        raise BadRequest("invalid_request", "twice")
    return {name: value for name, value in form.items() if value}  # one without a value counts as left out


def _credentials(request: Request, form: Mapping[str, str]) -> tuple[str, str]:
    """The client's id and secret, shown in one of two ways. Raises BadRequest for both at once."""
    header = request.headers.get("authorization")
    if header is None:
        return form.get("client_id", ""), form.get("client_secret", "")
    client_id, client_secret = basic(header)
    if "client_secret" in form or form.get("client_id", client_id) != client_id:
        raise BadRequest("invalid_request", "both")
    return client_id, client_secret


def basic(header: str) -> tuple[str, str]:
    """Id and secret of a Basic header, each percent-encoded as RFC 6749, 2.3.1 asks; empty for what is none."""
    scheme, _, encoded = header.partition(" ")
    try:
        text = base64.b64decode(encoded.strip(), validate=True).decode("utf-8") if scheme.lower() == "basic" else ""
    except (binascii.Error, ValueError):
        text = ""
    client_id, _, client_secret = text.partition(":")
    return unquote_plus(client_id), unquote_plus(client_secret)


def _require_grant(form: Mapping[str, str]) -> None:
    if "grant_type" not in form:
        raise BadRequest("invalid_request", "no_grant_type")
    if form["grant_type"] != GRANT:
        raise BadRequest("unsupported_grant_type", "grant_type")
    if form.get("scope", SCOPE) != SCOPE:
        raise BadRequest("invalid_scope", "scope")
