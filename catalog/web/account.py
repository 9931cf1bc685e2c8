"""Pages of people with an account: signing in, choosing a password by invitation, second factor, another password."""

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from catalog import metering
from catalog.policy import identities, second_factor, users
from catalog.policy.decision import ANONYMOUS
from catalog.policy.logins import Person
from catalog.policy.signin import ACT, Tried
from catalog.web import sessions
from catalog.web.forms import Form, own_path
from catalog.web.people import login_page
from catalog.web.site import Site
from pipelines.messages import CitylakeError, translate

HOME = "/account"
ROAD = "web"


def signed_in(site: Site, request: Request) -> Person | Response:
    """The person who asks, if everything is open to them; else where they go first."""
    person = site.person(request)
    if person is None:
        return RedirectResponse(f"/login?next={request.url.path}", 303)
    return RedirectResponse(HOME, 303) if person.lacks else person


def build_router(site: Site) -> APIRouter:
    """The routes of people."""
    router, desk = APIRouter(), site.desk

    def asks(request: Request) -> None:
        """Each try is a row of the audit: too many are held back before they are tried, and told once a minute."""
        metering.asks(desk, request, ANONYMOUS, ACT, ROAD)

    posted = [Depends(site.own_form), Depends(asks)]

    def enter(request: Request, session: str, target: str) -> Response:
        """Go on in a new session; the one that the browser had before ends."""
        if (before := site.person(request)) is not None:
            site.signin.leave(before)
        response = RedirectResponse(target, 303)
        sessions.begin_person(response, request, desk.settings.key("sessions"), session)
        return response

    def told(request: Request, code: str) -> str:
        return translate(f"signin.{code}", site.voice(request).language)

    def waits(response: Response, tried: Tried) -> Response:
        if tried.wait is not None:
            response.status_code = 429
            response.headers["Retry-After"] = str(tried.wait)
        return response

    def words() -> list[str]:
        city = desk.listing.city()
        return [city.name, city.nameEn, "citylake"]

    def home(request: Request, person: Person, status: int = 200, problem: str | None = None) -> Response:
        secret = site.second_factors.pending(person.user.name) if person.method == "password" else None
        city, voice = desk.listing.city(), site.voice(request)
        address = second_factor.uri(secret, person.user.name, f"{city.name} citylake") if secret else None
        return site.page(
            request,
            "account.html",
            status,
            roles=[voice.known("role", role) for role in person.user.roles],
            looks=[look for look, may in users.LOOKS.items() if may & users.counting(person.user.roles)],
            secret=secret,
            uri=address,
            drawn=second_factor.drawn(address, voice.t("account.drawn")) if address else None,
            counts=site.second_factors.counts(person.user.name),
            may_begin=site.second_factors.open_for(person.user.name),
            least=city.signIn.passwordLength,
            identities=identities.listed(desk.register, person.user.name),
            problem=problem,
            done=request.query_params.get("done") == "1",
        )

    def join_page(request: Request, status: int = 200, problem: str | None = None) -> Response:
        least = desk.listing.city().signIn.passwordLength
        return site.page(request, "join.html", status, problem=problem, least=least)

    @router.post("/login/account", dependencies=posted)
    def login(request: Request, form: Form) -> Response:
        shown = {name: form.get(name, "") for name in ("name", "password", "code")}
        tried = site.signin.with_password(**shown, origin=metering.origin(desk, request))
        target = own_path(form.get("next", ""))
        if tried.session is None:
            return waits(login_page(site, request, 401, target, wrong=told(request, "wrong")), tried)
        return enter(request, tried.session, target or HOME)

    @router.get("/join")
    def join_form(request: Request) -> Response:
        return join_page(request)

    @router.post("/join", dependencies=posted)
    def join(request: Request, form: Form) -> Response:
        if form.get("new", "") != form.get("again", ""):
            return join_page(request, 400, told(request, "not_the_same"))
        try:
            tried = site.signin.join(
                form.get("invitation", ""), form.get("new", ""), metering.origin(desk, request), words()
            )
        except CitylakeError as error:
            return join_page(request, 400, error.text(site.voice(request).language))
        if tried.session is None:
            return waits(join_page(request, 401, told(request, "no_invitation")), tried)
        return enter(request, tried.session, HOME)

    @router.get(HOME)
    def account(request: Request) -> Response:
        person = site.person(request)
        return RedirectResponse(f"/login?next={HOME}", 303) if person is None else home(request, person)

    @router.post("/account/second-factor", dependencies=posted)
    def begin(request: Request, form: Form) -> Response:
        """Whoever found a browser open does not make the account theirs: it begins with signing in again."""
        person = site.person(request)
        if person is None or person.method != "password":
            return RedirectResponse(HOME, 303)
        name = person.user.name
        if not site.second_factors.open_for(name):
            return home(request, person, 403, told(request, "second_by_invitation"))
        tried = site.signin.with_password(name, form.get("password", ""), "", metering.origin(desk, request))
        if tried.session is None:
            return waits(home(request, person, 401, told(request, "wrong_password")), tried)
        site.second_factors.begin(name)
        return enter(request, tried.session, HOME)

    @router.post("/account/second-factor/confirm", dependencies=posted)
    def confirm(request: Request, form: Form) -> Response:
        person = site.person(request)
        if person is None or person.method != "password":
            return RedirectResponse(HOME, 303)
        session = site.second_factors.confirm(person.user.name, form.get("code", ""), desk.listing.city().signIn)
        if session is None:
            return home(request, person, 400, told(request, "wrong_code"))
        return enter(request, session, f"{HOME}?done=1")

    @router.post("/account/password", dependencies=posted)
    def change(request: Request, form: Form) -> Response:
        person = site.person(request)
        if person is None:
            return RedirectResponse(HOME, 303)
        if form.get("new", "") != form.get("again", ""):
            return home(request, person, 400, told(request, "not_the_same"))
        shown = {name: form.get(name, "") for name in ("password", "code", "new")}
        try:
            tried = site.signin.change_password(
                person.user.name, **shown, origin=metering.origin(desk, request), words=words()
            )
        except CitylakeError as error:
            return home(request, person, 400, error.text(site.voice(request).language))
        if tried.session is None:
            return waits(home(request, person, 401, told(request, "wrong")), tried)
        return enter(request, tried.session, f"{HOME}?done=1")

    return router
