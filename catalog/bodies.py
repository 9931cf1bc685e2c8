"""The size of request bodies: everything this service is sent is small, so more is refused before it fills memory."""

from collections.abc import Callable

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_BYTES = 64 * 1024


class BodyLimit:
    """ASGI middleware. A body announced as too long is refused at once, any other as soon as it has become too long."""

    def __init__(self, app: ASGIApp, refuse: Callable[[Request], Response]) -> None:
        self._app = app
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on while its body is short enough; HTTPException 413 for whoever reads on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if _announced(scope) > MOST_BYTES:
            response = await run_in_threadpool(self._refuse, Request(scope))
            await response(scope, receive, send)
            return
        taken = 0

        async def counted() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > MOST_BYTES:
                raise HTTPException(413)
            return message

        await self._app(scope, counted, send)


def _announced(scope: Scope) -> int:
    """The length of the body in bytes as the client says it, 0 if it does not."""
    lengths = [value for name, value in scope["headers"] if name.lower() == b"content-length"]
    return max((int(value[:10]) for value in lengths if value.isdigit()), default=0)
