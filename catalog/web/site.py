"""The frame of every page: language, who is signed in, templates and what they may call. No page of its own."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from catalog import metering
from catalog.delivery.desk import Desk
from catalog.policy import logins, second_factor
from catalog.policy.credentials import SecondFactors
from catalog.policy.decision import Caller
from catalog.policy.logins import Person
from catalog.policy.signin import SignIn
from catalog.web import sessions
from catalog.web.voice import LANGUAGES, Voice

HERE = Path(__file__).parent
LANGUAGE_COOKIE = "citylake_language"
YEAR_SECONDS = 365 * 24 * 3600


class ForeignForm(Exception):
    """A form that was posted by a page of another site."""


class Site:
    """Templates over one desk."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.signin = SignIn(desk.register, self._sealing, lambda: desk.listing.city().signIn)
        self.second_factors = SecondFactors(desk.register, self._sealing)
        self._style = hashlib.sha256((HERE / "static" / "citylake.css").read_bytes()).hexdigest()[:12]
        loader = FileSystemLoader(HERE / "templates")
        self._templates = Environment(
            loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )

    def caller(self, request: Request) -> Caller:
        """Who asks for a page or file: the token of the header, else the signed-in session, else nobody.

        A session that ended makes nobody; a bad token in the header stays a bad token.
        """
        if metering.bearer(request) is not None:
            return metering.shows(self.desk, request)
        token_id = sessions.token_of(request, self.desk.settings.key("sessions"))
        caller = self.desk.callers.from_token_id(token_id) if token_id else Caller()
        return replace(Caller() if caller.problem else caller, purpose=metering.stated(request))

    def person(self, request: Request) -> Person | None:
        """Which person is signed in, looked up once a request; None for nobody."""
        if not hasattr(request.state, "person"):
            session = sessions.person_of(request, self.desk.settings.key("sessions"))
            form = self.desk.listing.city().signIn
            request.state.person = logins.find(self.desk.register, session, form) if session else None
        person: Person | None = request.state.person
        return person

    def own_form(self, request: Request) -> None:
        """What every route that takes a form depends on. Raises ForeignForm for one of another site's."""
        if not sessions.from_own_page(request, self.desk.url):
            raise ForeignForm

    def zone(self) -> ZoneInfo:
        """The city's time zone."""
        return ZoneInfo(self.desk.listing.city().timezone)

    def _sealing(self) -> bytes:
        return self.desk.settings.key(second_factor.KEY)

    def voice(self, request: Request) -> Voice:
        """The language of the query, else of the cookie, else Chinese."""
        for wanted in (request.query_params.get("lang"), request.cookies.get(LANGUAGE_COOKIE)):
            if wanted in LANGUAGES:
                return Voice(wanted, self.desk.listing.snapshot().contracts.city.timezone)
        return Voice("zh", self.desk.listing.snapshot().contracts.city.timezone)

    def page(self, request: Request, template: str, status: int = 200, **context: Any) -> HTMLResponse:
        """Render a template; a language that is chosen is kept in a cookie, and what a person sees is kept nowhere."""
        voice = self.voice(request)
        visitor, person = self.caller(request), self.person(request)
        text = self._templates.get_template(template).render(
            voice=voice,
            t=voice.t,
            city=self.desk.listing.snapshot().contracts.city,
            is_test=bool(self.desk.said),
            visitor=visitor,
            person=person,
            signed_in=visitor.recipient is not None or (person is not None and person.lacks is None),
            path=request.url.path,
            other_language=_with_language(request, "en" if voice.language == "zh" else "zh"),
            style=self._style,
            **context,
        )
        response = HTMLResponse(text, status, headers={"Content-Language": voice.language, "Vary": "Cookie"})
        response.headers["Cache-Control"] = "private, no-cache" if person is None else "no-store"
        if request.query_params.get("lang") in LANGUAGES:
            response.set_cookie(LANGUAGE_COOKIE, voice.language, max_age=YEAR_SECONDS, httponly=True, samesite="lax")
        return response


def _with_language(request: Request, language: str) -> str:
    kept = [(key, value) for key, value in request.query_params.multi_items() if key != "lang"]
    return f"{request.url.path}?{urlencode([*kept, ('lang', language)])}"
