"""Pages for recipients: sign in by pasting a token, sign out, what one may read and what was read in one's name."""

from typing import Annotated
from urllib.parse import parse_qs

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from catalog import metering
from catalog.delivery.desk import token_id
from catalog.policy import audit, recall
from catalog.policy.administration import list_tokens
from catalog.policy.decision import Allowed, Reason
from catalog.web import cards, sessions
from catalog.web.site import Site
from pipelines.register.store import now

ROAD = "web"
OWN_READS = 20
FORM_BYTES = 4096


async def _form(request: Request) -> dict[str, str]:
    """The fields of a posted form; empty for one that is too long to be ours."""
    body = await request.body()
    if len(body) > FORM_BYTES:
        return {}
    return {key: values[-1] for key, values in parse_qs(body.decode("utf-8", "replace")).items()}


Form = Annotated[dict[str, str], Depends(_form)]


def build_router(site: Site) -> APIRouter:
    """The routes of recipients."""
    router = APIRouter()
    desk = site.desk

    @router.get("/login")
    def login_page(request: Request, next: str = "") -> Response:
        return site.page(request, "login.html", next=_own_path(next), problem=None)

    @router.post("/login")
    def login(request: Request, form: Form) -> Response:
        if not sessions.from_own_page(request, desk.url):
            return site.page(request, "error.html", 403, code="foreign_form")
        caller = desk.callers.from_token(form.get("token", ""), metering.origin(desk, request))
        if caller.problem is Reason.LOCKED:
            raise desk.refuse(caller, None, Reason.LOCKED, "login", ROAD)
        problem = caller.problem or (Reason.TOKEN_REQUIRED if caller.token is None else None)
        body = {"road": ROAD, **token_id(caller)} | ({} if problem is None else {"reason": problem.value})
        outcome: audit.Outcome = "denied" if problem else "allowed"
        audit.record(desk.register, "login", outcome, body, recipient=caller.recipient, application=caller.application)
        if problem is not None or caller.token is None or caller.expires is None:
            return site.page(request, "login.html", 401, next=_own_path(form.get("next", "")), problem=problem)
        response = RedirectResponse(_own_path(form.get("next", "")) or "/access", 303)
        sessions.begin(response, request, desk.settings.key("sessions"), caller.token, caller.expires)
        return response

    @router.post("/logout")
    def logout(request: Request) -> Response:
        if not sessions.from_own_page(request, desk.url):
            return site.page(request, "error.html", 403, code="foreign_form")
        response = RedirectResponse("/", 303)
        sessions.end(response)
        return response

    @router.get("/access")
    def access(request: Request) -> Response:
        caller, snapshot, voice = site.caller(request), desk.listing.snapshot(), site.voice(request)
        readable = [item for item in desk.visible(caller, snapshot, ROAD) if item.offering.product.channel != "open"]
        decision = desk.decide_marts(caller, ROAD)
        reads = audit.recent(desk.register, OWN_READS, caller.recipient) if caller.recipient else []
        moment, tokens = now(), list_tokens(desk.register, caller.recipient) if caller.recipient else []
        return site.page(
            request,
            "access.html",
            readable=[(cards.card(snapshot, voice, item.offering), item.allowed) for item in readable],
            marts=decision if isinstance(decision, Allowed) else None,
            grants={grant.id: grant for grant in caller.grants},
            reads=reads,
            recalls=recall.open_for(desk.register, caller.recipient) if caller.recipient else [],
            quota=metering.stands(desk, request, caller) if caller.recipient else None,
            tokens=[one for one in tokens if one.revoked is None and moment < one.expires],
            now=moment,
        )

    return router


def _own_path(path: str) -> str:
    """A path of this site to return to, empty for anything that could lead elsewhere."""
    safe = path.startswith("/") and not path.startswith("//") and "\\" not in path and path.isprintable()
    return path if safe else ""
