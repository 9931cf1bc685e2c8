"""Signing in by the city's own OpenID provider: sending a browser there, and taking it in when it comes back.

There are no such pages where no provider is set. Belongs here: pages and cookies of the way. Does not belong here: the
protocol (`catalog.oidc`), whose identity it is (`catalog.policy.identities`).
"""

from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from catalog import metering
from catalog.oidc import RelyingParty
from catalog.policy.decision import ANONYMOUS
from catalog.policy.identities import NotShown
from catalog.policy.signin import ACT
from catalog.web import sessions
from catalog.web.account import HOME, ROAD
from catalog.web.forms import own_path
from catalog.web.people import login_page
from catalog.web.site import Site

START = sessions.FLOW_PATH
CALLBACK = f"{START}/callback"
FAILED = "/login?refused=provider_failed"


def build_router(site: Site) -> APIRouter:
    """The routes of the provider that is set. Raises CitylakeError where its secret is not there."""
    router, desk = APIRouter(), site.desk
    provider = desk.settings.provider
    if provider is None:
        return router
    party = RelyingParty(provider, desk.settings.provider_secret(), f"{desk.url}{CALLBACK}")

    @router.get(START)
    def start(request: Request, next: str = "") -> Response:
        """A link and not a form: a form may lead nowhere else (`form-action`)."""
        metering.asks(desk, request, ANONYMOUS, ACT, ROAD)
        try:
            address, flow = party.begin()
        except NotShown:
            return login_page(site, request, 503, next, refused="no_provider")
        response = RedirectResponse(address, 303)
        if (before := site.person(request)) is not None:  # the way back does not show its cookie
            site.signin.leave(before)
            sessions.end_person(response)
        sessions.begin_flow(response, request, desk.settings.key("sessions"), flow, own_path(next), desk.url)
        return response

    @router.get(CALLBACK)
    def callback(request: Request) -> Response:
        """Take a browser in. The page leads on by itself: what follows a redirect from elsewhere shows no cookie that
        is of this site alone, what follows a page of ours does."""
        metering.asks(desk, request, ANONYMOUS, ACT, ROAD)
        key = desk.settings.key("sessions")
        flow, target = sessions.flow_of(request, key)
        tried = site.signin.by_provider(
            lambda: party.identity(flow, request.query_params), metering.origin(desk, request)
        )
        if tried.session is None:  # an address of ours: the code and what came with it are on no page
            response: Response = RedirectResponse(f"{FAILED}&next={quote(target)}", 303)
        else:
            response = site.page(request, "entered.html", target=target or HOME)
            response.headers["Cache-Control"] = "no-store"
            sessions.begin_person(response, request, key, tried.session, desk.url)
        sessions.end_flow(response)
        return response

    return router
