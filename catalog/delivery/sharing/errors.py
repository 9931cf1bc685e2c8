"""Errors as Delta Sharing clients expect them: a JSON body with `errorCode` and `message`.

A client's fault is always 4xx: clients take 5xx and 429 for passing trouble and retry for minutes.
"""

from fastapi.responses import JSONResponse

from catalog.policy.decision import Reason
from pipelines.messages import say

CODES = {
    400: "INVALID_PARAMETER_VALUE",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "RESOURCE_DOES_NOT_EXIST",
    405: "METHOD_NOT_ALLOWED",
    410: "RESOURCE_DOES_NOT_EXIST",
    413: "INVALID_PARAMETER_VALUE",
    416: "INVALID_PARAMETER_VALUE",
    429: "RESOURCE_EXHAUSTED",
    503: "TEMPORARILY_UNAVAILABLE",
}


class BadRequest(Exception):
    """A request the protocol or this server does not allow. `code` is a message id."""

    def __init__(self, code: str, **arguments: object) -> None:
        self.code = code
        self.arguments = arguments
        super().__init__(code)


def status_of(reason: Reason) -> int:
    """The HTTP status of a denial."""
    if reason in (Reason.UNKNOWN_PRODUCT, Reason.NOT_PUBLISHED, Reason.VERSION_UNKNOWN):
        return 404
    if reason in (Reason.TOO_MANY, Reason.QUOTA_SPENT, Reason.LOCKED):
        return 429
    if reason is Reason.VERSION_ENDED:
        return 410
    return 401 if reason.value.startswith("token_") else 403


def answer(status: int, code: str, **arguments: object) -> JSONResponse:
    """An error answer with message `code`."""
    return told(status, say(code, **arguments))


def told(status: int, text: str) -> JSONResponse:
    """An error answer with a text."""
    body = {"errorCode": CODES.get(status, "INTERNAL_ERROR"), "message": text}
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
    return JSONResponse(body, status, headers)
