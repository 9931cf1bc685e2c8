"""The routes below `/api/access`: who asks, by which session, and the form of questions and answers.

People act, programs do not: a recipient's token opens data and never this, but for a successor of itself (`renewing`).
Every refusal is a row of the audit.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from starlette.background import BackgroundTask

from catalog import metering
from catalog.access import openapi, renewing
from catalog.access.acts import ACTS, AFTER, ISSUED, LIMIT, LISTS, MOST_LISTED, NUMBER, PAGED, TOKEN, Act, Asked, List
from catalog.access.asking import NOT_KEPT, Body, form_of, issued, require_json, shown
from catalog.access.refusals import Refusal, of_policy
from catalog.delivery.desk import Desk, token_id
from catalog.policy import audit, users
from catalog.policy.decision import ANONYMOUS
from catalog.web import sessions
from catalog.web.site import Site
from pipelines.messages import CitylakeError

PREFIX: Final = "/api/access"
ROAD: Final = "web"
LOOK: Final = "access.list"
_PLACES: Final = {NUMBER: re.compile(r"[1-9][0-9]{0,8}", re.ASCII), TOKEN: re.compile(r"[0-9a-f]{16}", re.ASCII)}
_UNKNOWN: Final = {NUMBER: ("web.policy.no_grant", "grant"), TOKEN: ("web.policy.no_token", "token")}
_LIMIT: Final = re.compile(r"[1-9][0-9]{0,3}", re.ASCII)
_REQUEST: Final = re.compile(r'"?([!#-~]{1,64})"?', re.ASCII)


def build_router(site: Site) -> APIRouter:
    """The routes over one site."""
    router = APIRouter(prefix=PREFIX)
    described = openapi.document(f"{site.desk.url}{PREFIX}")

    @router.get("/openapi.json")
    def describe() -> JSONResponse:
        return JSONResponse(described)

    for one in LISTS:
        router.add_api_route(one.path, _listing(site, one), methods=["GET"])
    for act in ACTS:
        router.add_api_route(act.path, _doing(site, act), methods=["POST"])
    renewing.add_route(router, site.desk)
    return router


def _listing(site: Site, one: List) -> Callable[[Request], JSONResponse]:
    desk = site.desk

    def listed(request: Request) -> JSONResponse:
        actor = _actor(site, request, LOOK)
        with _telling(site, LOOK, actor):
            by = _narrowed(one, request)
            found = one.find(desk, by)
        # nothing is told of what was found before it is known that the user may look
        with _telling(site, LOOK, actor), users.acting(desk.register, LOOK, actor) as (connection, _):
            part, following = _page(one, found, by)
            said = {"actor": actor, "road": ROAD, "asked": {"what": one.path[1:], **by}}
            audit.append(connection, LOOK, "allowed", said)
        answer: dict[str, Any] = {one.path[1:]: [_listed(desk, one, item) for item in part]}
        return JSONResponse(answer | ({} if following is None else {"next": following}), headers=NOT_KEPT)

    return listed


def _doing(site: Site, act: Act) -> Callable[[Request, bytes], JSONResponse]:
    def done(request: Request, body: Body) -> JSONResponse:
        actor = _actor(site, request, act.action)
        _require_own(site, request, act.action, actor)
        try:
            with audit.by_road(ROAD), _telling(site, act.action, actor):
                require_json(request)
                asked = Asked(site.desk, actor, form_of(act.form, body), _place(request), _named(request))
                made = act.do(asked)
        except users.NotAllowed:
            raise
        except CitylakeError as error:
            return of_policy(error)
        answer = issued(site.desk, made.what) if isinstance(made.what, ISSUED) else shown(made.what)
        further = None if made.further is None else BackgroundTask(made.further)
        return JSONResponse(answer, 201 if made.new else 200, NOT_KEPT, background=further)

    return done


def _listed(desk: Desk, one: List, item: Any) -> dict[str, Any]:
    contracts = desk.listing.snapshot().contracts
    return {**shown(item), **{name: holds(contracts, item) for name, holds in one.holds.items()}}


def _actor(site: Site, request: Request, action: str) -> str:
    """The user who asks. Raises Refusal for nobody, for a program and for who has to set something right first; Refused
    for a token that does not hold and for one question too many; all are audited."""
    desk = site.desk
    caller = ANONYMOUS if metering.bearer(request) is None else metering.shows(desk, request)
    metering.asks(desk, request, caller, action, ROAD)
    if caller.problem is not None:
        raise desk.refuse(caller, None, caller.problem, action, ROAD)
    refused = partial(_refused, site, action)
    if metering.bearer(request) is not None:
        about: audit.About = {"recipient": caller.recipient, "application": caller.application}
        raise refused(403, "program", token_id(caller), about)
    person = site.person(request)
    if person is None:
        raise refused(401, "sign_in", {}, {})
    if person.lacks is not None:
        raise refused(403, person.lacks, {"actor": person.user.name}, {})
    return person.user.name


def _refused(site: Site, action: str, status: int, rule: str, said: dict[str, str], about: audit.About) -> Refusal:
    """Audit a refusal; returns the error to raise. Raises AuditUnavailable."""
    body = {"road": ROAD, "reason": f"access.{rule}", **said}
    audit.record(site.desk.register, action, "denied", body, **about)
    return Refusal(status, rule)


def _require_own(site: Site, request: Request, action: str, actor: str) -> None:
    """Raises Refusal for a request that a page of another site may have made in a person's name."""
    if not sessions.from_own_page(request, site.desk.url):
        raise _refused(site, action, 403, "foreign", {"actor": actor}, {})


@contextmanager
def _telling(site: Site, action: str, actor: str) -> Iterator[None]:
    """Audit what is wrong with a request; of who may not do it the policy tells. Raises AuditUnavailable."""
    try:
        yield
    except users.NotAllowed:
        raise
    except (CitylakeError, Refusal) as error:
        reason = error.code if isinstance(error, CitylakeError) else f"access.{error.rule}"
        audit.record(site.desk.register, action, "denied", {"road": ROAD, "reason": reason, "actor": actor})
        raise


def _narrowed(one: List, request: Request) -> dict[str, str]:
    """By what a list is to be narrowed, and which page of it. Raises Refusal."""
    by = dict(request.query_params)
    for name, value in by.items():
        if name not in (*one.narrowed, *PAGED) or not value.isprintable() or len(value) > 120:
            raise _no_parameter(one, name)
    if not _LIMIT.fullmatch(by.get(LIMIT, "1")) or int(by.get(LIMIT, "1")) > MOST_LISTED:
        raise _no_parameter(one, LIMIT)
    return by


def _page(one: List, found: Sequence[Any], by: Mapping[str, str]) -> tuple[Sequence[Any], str | None]:
    """The part of a list that is asked for, all of it if no limit is, and by what the next begins, None if there is no
    more. Raises Refusal."""
    keys = [str(getattr(item, one.key)) for item in found]
    if by.get(AFTER) is not None and by[AFTER] not in keys:
        raise _no_parameter(one, AFTER)
    start = keys.index(by[AFTER]) + 1 if AFTER in by else 0
    end = start + int(by[LIMIT]) if LIMIT in by else len(found)
    return found[start:end], keys[end - 1] if end < len(keys) else None


def _no_parameter(one: List, name: str) -> Refusal:
    return Refusal(400, "parameter", name[:80], known="、".join((*one.narrowed, *PAGED)))


def _place(request: Request) -> str:
    """What the address names. Raises CitylakeError for what cannot be a name of its kind."""
    for kind, text in request.path_params.items():
        if not _PLACES[kind].fullmatch(text):
            code, argument = _UNKNOWN[kind]
            raise CitylakeError(code, **{argument: text[:32]})
        return str(text)
    return ""


def _named(request: Request) -> str | None:
    """What the user calls the request. Raises Refusal."""
    text = request.headers.get("idempotency-key")
    if text is None:
        return None
    found = _REQUEST.fullmatch(text.strip())
    if found is None:
        raise Refusal(400, "request_key", "Idempotency-Key")
    return found[1]
