"""Counting what is asked and given over HTTP: whose question it is, the headers that say what is left, bytes sent; and
cutting answers that are under way when what they were given by is over.

Roads call `asks` before anything else, `gave` for the rows they hand out, and `lasts` for an answer that may take long.
The counts are in `catalog.policy.quotas`, what may be given is asked at the desk.
"""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import partial
from typing import Any
from urllib.parse import unquote_to_bytes

from fastapi import Request
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from catalog.delivery.desk import Desk, Refused
from catalog.policy.audit import AuditUnavailable
from catalog.policy.decision import ANONYMOUS, Caller, Reason
from catalog.policy.lockout import Origin
from catalog.policy.quotas import Standing, left_of_day, opens, today
from pipelines.contracts.forms.limits import CallersForm
from pipelines.lake.errors import LakeError
from pipelines.messages import CitylakeError
from pipelines.register import Register
from pipelines.register.store import now

log = logging.getLogger(__name__)

API = ("/delta-sharing/", "/api/v1/", "/verify/", "/oauth/", "/api/access/")
"""Roads of programs: every answer says what is left, also one that no route made."""
DATA = frozenset({"rows.read", "download", "file.read", "table.query", "table.changes", "preview"})
"""Actions that hand out data: nothing is left for them when the day is spent. Their bytes count."""
PURPOSE = "citylake-purpose"
"""The header in which a request may say what it is for; another purpose than that of its grant is refused."""
MOST_PURPOSE = 1500
"""Bytes of it that are looked at."""
LOOK = 1.0
"""Seconds between two looks at whether anything has changed that an answer under way was given by."""
AGAIN = 60.0
"""Seconds after which it is asked about even if the register has not changed: a grant may have ended meanwhile."""
_KEY = "citylake.meter"
UNKNOWN = (AuditUnavailable, SQLAlchemyError, LakeError, CitylakeError)
"""Why it cannot be told whether an answer may go on. Then it may not."""


class Cut(Exception):
    """The rest of an answer may not be given. The server closes a connection whose answer is not complete."""


@dataclass
class _Lasting:
    """An answer that may take long. `stands`: raises Refused if it may not go on, by the bytes that were sent; `basis`:
    the register's number when it was asked last, None before; `asked` and `looked`: when that was, and the last look.
    """

    stands: Callable[[int], None]
    basis: int | None = None
    asked: float = field(default_factory=time.monotonic)
    looked: float = field(default_factory=time.monotonic)

    def look(self, register: Register, sent: int) -> None:
        """Ask again if the register has changed since, or long ago. Raises what `stands` raises."""
        self.looked, basis = time.monotonic(), register.basis()  # read first: whatever is written meanwhile moves it
        if basis is None or basis != self.basis or self.looked - self.asked > AGAIN:
            self.stands(sent)
            self.basis, self.asked = basis, self.looked


@dataclass
class _Meter:
    """One request: who shows a token, how they stand, whether they were let in, what they got. `size`: bytes of the
    whole of which `rows` are the rows, None if all rows are given; `reserved`: rows and bytes that were counted when
    the answer began."""

    caller: Caller | None = None
    day: date | None = None
    standing: Standing | None = None
    let_in: bool = False
    data: bool = False
    rows: int = 0
    bytes: int = 0
    size: int | None = None
    reserved: tuple[int, int] = (0, 0)
    lasting: _Lasting | None = None

    def given(self, sent: int) -> tuple[int, int]:
        """Rows and bytes of so many bytes: of a part of a file its share of the rows."""
        rows = self.rows if self.size is None else -(-self.rows * min(sent, self.size) // max(self.size, 1))
        return rows, sent


class Metering:
    """ASGI middleware: adds the headers, counts the bytes of data that were sent, and cuts what may not go on."""

    def __init__(self, app: ASGIApp, desk: Desk) -> None:
        self._app = app
        self._desk = desk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        meter = scope[_KEY] = _Meter()

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                meter.data = meter.data and message["status"] < 300 and scope["method"] != "HEAD"
                if meter.standing is None and scope["path"].startswith(API):
                    _count(self._desk, meter, ANONYMOUS, _address(scope))
                if meter.standing is not None:
                    headers = MutableHeaders(scope=message)
                    self._reserve(meter, int(headers.get("content-length", 0)))
                    headers.update(_headers(meter.standing))
            elif message["type"] == "http.response.body":
                await self._look(meter)
                meter.bytes += len(message.get("body", b""))
            await send(message)

        try:
            await self._app(scope, receive, counted)
        except Cut as cut:
            log.warning("an answer was cut after %s bytes: %s", meter.bytes, type(cut.__cause__).__name__)
        finally:
            await self._settle(meter)

    async def _look(self, meter: _Meter) -> None:
        """See to it, before a piece is sent, that it may be. Raises Cut."""
        if meter.lasting is None or time.monotonic() - meter.lasting.looked < LOOK:
            return
        try:
            await run_in_threadpool(meter.lasting.look, self._desk.register, meter.bytes)
        except (Refused, *UNKNOWN) as error:
            raise Cut from error

    def _reserve(self, meter: _Meter, length: int) -> None:
        """Count an answer when it begins: else any number of them could begin before the first has ended."""
        if meter.data and meter.standing is not None and meter.day is not None and length:
            meter.reserved = meter.given(length)
            self._desk.quotas.spend(meter.standing.who, meter.day, *meter.reserved)

    async def _settle(self, meter: _Meter) -> None:
        """Count what was sent, less what had been counted before."""
        if not meter.data or meter.standing is None or meter.day is None:
            return
        quotas, who = self._desk.quotas, meter.standing.who
        more = (given - counted for given, counted in zip(meter.given(meter.bytes), meter.reserved, strict=True))
        if quotas.spend(who, meter.day, *more):
            await run_in_threadpool(quotas.write, who, meter.day)


def bearer(request: Request) -> str | None:
    """The token of the Authorization header; an unreadable header is a bad token, not none."""
    header = request.headers.get("authorization")
    if header is None:
        return None
    scheme, _, token = header.partition(" ")
    return token if scheme.lower() == "bearer" else header


def shows(desk: Desk, request: Request) -> Caller:
    """Who shows the token of the Authorization header; looked at once a request. Raises AuditUnavailable."""
    meter = _meter(request)
    if meter.caller is None:
        found = desk.callers.from_token(bearer(request), partial(origin, desk, request))
        meter.caller = replace(found, purpose=stated(request))
    return meter.caller


def begins_anew(request: Request) -> None:
    """Note that what was found of the request is thrown away: who asks is looked at again. What was counted stays."""
    _meter(request).caller = None


def stated(request: Request) -> str | None:
    """What a request says it is for, None if it says nothing: text in UTF-8, or percent-encoded, as headers may be."""
    header = request.headers.get(PURPOSE)
    if header is None or not header.strip():
        return None
    return unquote_to_bytes(header.strip()[:MOST_PURPOSE].encode("latin-1")).decode("utf-8", "replace")


def origin(desk: Desk, request: Request) -> Origin:
    """Where a credential comes from: its network, named as for counting."""
    who = desk.quotas.who(ANONYMOUS, _address(request.scope), today(now(), _zone(desk)))
    return Origin(who.name, desk.listing.city().limits.credentials.perMinute)


def asks(desk: Desk, request: Request, caller: Caller, action: str, road: str) -> Caller:
    """Count the question of a caller, once a request.

    Raises Refused for one too many in this minute, and for data when the day is spent; both are audited, of the former
    a row a minute says how many `tries` there were. Raises Refused for wrong credentials too many.
    """
    if caller.problem is Reason.LOCKED:
        raise desk.refuse(caller, None, Reason.LOCKED, action, road)
    meter = _meter(request)
    if meter.standing is None:
        _count(desk, meter, caller, _address(request.scope))
    assert meter.standing is not None
    if not meter.let_in:
        desk.hold_back(caller, None, action, road, meter.standing.wait, desk.quotas.untold(meter.standing.who))
        meter.let_in = True
    if action in DATA and not meter.data and meter.day is not None and caller.problem is None:
        if desk.quotas.used(meter.standing.who, meter.day).spent(meter.standing.limits):
            moment = now()
            wait = 1 + int((opens(moment, _zone(desk)) - moment).total_seconds())
            raise desk.refuse(caller, None, Reason.QUOTA_SPENT, action, road, wait)
        meter.data = True
    return caller


def receives(desk: Desk, request: Request, caller: Caller, action: str, road: str) -> tuple[Caller, str]:
    """As `asks`, for what belongs to a recipient: the caller and their recipient. Raises Refused for nobody too."""
    asks(desk, request, caller, action, road)
    if caller.problem is not None or caller.recipient is None:
        raise desk.refuse(caller, None, caller.problem or Reason.TOKEN_REQUIRED, action, road)
    return caller, caller.recipient


def gave(request: Request, rows: int, size: int | None = None) -> None:
    """Note the rows of the answer. `size`: bytes of a file that has them, of which a part may be asked for."""
    meter = _meter(request)
    meter.rows, meter.size = rows, size


def lasts(request: Request, stands: Callable[[int], None]) -> None:
    """Note that the answer may take long: `stands` is asked now and then with the bytes that were sent, and raises
    Refused, having audited it, if the rest may not be given."""
    _meter(request).lasting = _Lasting(stands)


def stands(desk: Desk, request: Request, caller: Caller) -> dict[str, Any]:
    """What a caller used and has left, as JSON. Raises SQLAlchemyError."""
    moment, zone, address = now(), _zone(desk), _address(request.scope)
    day = today(moment, zone)
    who = desk.quotas.who(caller, address, day)
    standing = _meter(request).standing
    limits = getattr(_limits(desk), who.kind)
    return {
        "caller": who.kind,
        "name": None if who.kind == "anonymous" else who.name,
        "questions": {"per_minute": limits.perMinute, "left": limits.perMinute if standing is None else standing.left},
        **left_of_day(limits, desk.quotas.used(who, day)),
        "day": day.isoformat(),
        "opens": opens(moment, zone).isoformat(),
    }


def moment_after(desk: Desk, seconds: int) -> str:
    """The moment in so many seconds, in the city's time zone (ISO 8601)."""
    return datetime.fromtimestamp(now().timestamp() + seconds, opens(now(), _zone(desk)).tzinfo).isoformat(
        timespec="seconds"
    )


def _count(desk: Desk, meter: _Meter, caller: Caller, address: str) -> None:
    meter.day = today(now(), _zone(desk))
    meter.standing = desk.quotas.ask(desk.quotas.who(caller, address, meter.day), _limits(desk))


def _headers(standing: Standing) -> Mapping[str, str]:
    """draft-ietf-httpapi-ratelimit-headers-06: the minute; what is left of the day is told by `/api/v1/quota`."""
    return {
        "RateLimit-Limit": str(standing.limits.perMinute),
        "RateLimit-Remaining": str(standing.left),
        "RateLimit-Reset": str(standing.wait or standing.full),
        "RateLimit-Policy": f"{standing.limits.perMinute};w=60",
    }


def _meter(request: Request) -> _Meter:
    meter: _Meter = request.scope[_KEY]
    return meter


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else ""


def _limits(desk: Desk) -> CallersForm:
    return desk.listing.city().limits.callers


def _zone(desk: Desk) -> str:
    return desk.listing.city().timezone
