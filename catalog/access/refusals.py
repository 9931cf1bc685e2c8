"""What a request is answered that is not done: RFC 9457 problem details, as of the row API, with words of this one."""

from typing import Final

from fastapi.responses import JSONResponse

from catalog.delivery.rows import problems
from pipelines.messages import CitylakeError, say

AREA: Final = "access"
NOT_THERE: Final = frozenset({"web.policy.no_token", "web.policy.no_grant"})
IN_THE_WAY: Final = frozenset(
    {
        *("web.policy.recipient_exists", "application.exists", "web.policy.overlap", "user.not_pending"),
        *("token.ended", "token.succeeded", "token.issued_before", "suspension.standing", "suspension.none"),
    }
)
"""Codes of errors that say how things stand, not what is wrong with the request."""

FORBIDDEN: Final = frozenset({"token.no_secret", "token.suspended", "token.renewal_off"})
"""Codes of errors that say that who asks may not, however they ask."""


class Refusal(Exception):
    """A request that is not done; the text is message `access.<rule>`."""

    def __init__(self, status: int, rule: str, parameter: str | None = None, **arguments: object) -> None:
        self.status = status
        self.rule = rule
        self.parameter = parameter
        self.arguments = arguments
        super().__init__(rule)

    def answer(self) -> JSONResponse:
        """The answer for it."""
        text = say(f"{AREA}.{self.rule}", parameter=self.parameter, **self.arguments)
        made = problems.answer(self.status, self.rule, text, parameter=self.parameter, area=AREA)
        if self.status == 401:
            made.headers["WWW-Authenticate"] = 'Cookie form-action="/login/account"'
        return made


def of_policy(error: CitylakeError) -> JSONResponse:
    """The answer for what the policy does not do."""
    found = (404, NOT_THERE), (409, IN_THE_WAY), (403, FORBIDDEN)
    status = next((status for status, codes in found if error.code in codes), 422)
    return problems.answer(status, error.code.rpartition(".")[2], str(error), area=AREA)
