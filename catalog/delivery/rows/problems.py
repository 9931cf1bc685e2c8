"""Errors of APIs as RFC 9457 problem details: one body shape, Chinese first, English second.

`rule` names what was not kept, `parameter` where, `next` says what to do. A client's fault is always 4xx.
"""

from typing import Any

from fastapi.responses import JSONResponse

from pipelines.messages import catalogue, say

MEDIA_TYPE = "application/problem+json"
EXPLAINED = {"rows": "/docs/api", "access": "/api/access/openapi.json"}
"""Where the rules of an API are explained. Its area of messages has a title, and what to do, by status."""


class Problem(Exception):
    """A request that the API does not take. `rule` is a message id `rows.<rule>`, with `rows.<rule>.next` beside it."""

    def __init__(self, rule: str, parameter: str | None = None, status: int = 400, **arguments: object) -> None:
        self.rule = rule
        self.parameter = parameter
        self.status = status
        self.arguments = arguments
        super().__init__(rule)

    def answer(self) -> JSONResponse:
        """The answer for it."""
        parameter = "" if self.parameter is None else self.parameter[:80]
        filled = {**self.arguments, "parameter": parameter}
        todo = say(f"rows.{self.rule}.next", **filled)
        return answer(self.status, self.rule, say(f"rows.{self.rule}", **filled), todo, self.parameter)


def answer(
    status: int,
    rule: str,
    detail: str,
    todo: str | None = None,
    parameter: str | None = None,
    area: str = "rows",
) -> JSONResponse:
    """A problem document of one of the APIs in `EXPLAINED`."""
    kind = status if f"{area}.title.{status}" in catalogue() else 400
    body: dict[str, Any] = {
        "type": f"{EXPLAINED[area]}#{rule}",
        "title": say(f"{area}.title.{kind}"),
        "status": status,
        "detail": detail,
        "rule": rule,
    }
    if parameter is not None:
        body["parameter"] = parameter[:80]
    body["next"] = todo or say(f"{area}.next.{kind}")
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    return JSONResponse(body, status, headers, MEDIA_TYPE)
