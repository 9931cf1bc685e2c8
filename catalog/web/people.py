"""Pages for recipients: sign in by pasting a token, sign out, what one may read and what was read in one's name."""

from typing import Any, Literal

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from catalog import metering
from catalog.delivery.desk import token_id
from catalog.policy import audit, recall
from catalog.policy.administration import list_tokens
from catalog.policy.decision import Allowed, Reason
from catalog.web import cards, sessions
from catalog.web.forms import Form, own_path
from catalog.web.site import Site
from pipelines.issues.corrections import notices
from pipelines.messages import translate
from pipelines.register.store import now

ROAD = "web"
OWN_READS = 20
Refusal = Literal["no_provider", "provider_failed"]


def login_page(
    site: Site,
    request: Request,
    status: int = 200,
    next: str = "",
    *,
    problem: Reason | None = None,
    wrong: str | None = None,
    refused: Refusal | None = None,
) -> Response:
    """The page to sign in on. What did not do: `problem` of a token, `wrong` of an account, `refused` of a provider."""
    provider, told = site.desk.settings.provider, None
    if provider is not None and refused is not None:
        told = translate(f"signin.{refused}", site.voice(request).language, provider=provider.name)
    context: dict[str, Any] = {"problem": problem, "wrong": wrong, "refused": told, "provider": provider}
    return site.page(request, "login.html", status, next=own_path(next), **context)


def build_router(site: Site) -> APIRouter:
    """The routes of recipients."""
    router = APIRouter()
    desk = site.desk

    @router.get("/login")
    def login_form(request: Request, next: str = "", refused: str = "") -> Response:
        return login_page(site, request, next=next, refused="provider_failed" if refused else None)

    @router.post("/login", dependencies=[Depends(site.own_form)])
    def login(request: Request, form: Form) -> Response:
        caller = desk.callers.from_token(form.get("token", ""), metering.origin(desk, request))
        if caller.problem is Reason.LOCKED:
            raise desk.refuse(caller, None, Reason.LOCKED, "login", ROAD)
        problem = caller.problem or (Reason.TOKEN_REQUIRED if caller.token is None else None)
        body = {"road": ROAD, **token_id(caller)} | ({} if problem is None else {"reason": problem.value})
        outcome: audit.Outcome = "denied" if problem else "allowed"
        audit.record(desk.register, "login", outcome, body, recipient=caller.recipient, application=caller.application)
        if problem is not None or caller.token is None or caller.expires is None:
            return login_page(site, request, 401, form.get("next", ""), problem=problem)
        response = RedirectResponse(own_path(form.get("next", "")) or "/access", 303)
        sessions.begin(response, request, desk.settings.key("sessions"), caller.token, caller.expires)
        _sign_out_person(request, response)
        return response

    @router.post("/logout", dependencies=[Depends(site.own_form)])
    def logout(request: Request) -> Response:
        response = RedirectResponse("/", 303)
        sessions.end(response)
        _sign_out_person(request, response)
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
            corrected=notices(desk.register, caller.recipient) if caller.recipient else [],
            quota=metering.stands(desk, request, caller) if caller.recipient else None,
            tokens=[one for one in tokens if one.revoked is None and moment < one.expires],
            now=moment,
        )

    def _sign_out_person(request: Request, response: Response) -> None:
        if (person := site.person(request)) is not None:
            site.signin.leave(person)
        sessions.end_person(response)

    return router
