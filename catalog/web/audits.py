"""The audit for those who look on: who read what, by pages and as CSV, and reads that are not as others.

The question, who may ask it and its answer are `catalog.policy.inquiry`'s, as on the command line; asking is a row of
the audit before the answer is out.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, get_args
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import Response

from catalog import metering
from catalog.policy import anomalies, audit, inquiry, users
from catalog.policy.decision import ANONYMOUS
from catalog.policy.inquiry import Asked
from catalog.policy.logins import Person
from catalog.web import cards, csv_of_audit
from catalog.web.account import signed_in
from catalog.web.forms import MOST, day_of, number_of, require_readable
from catalog.web.site import Site
from pipelines.messages import CitylakeError

ROAD = "web"
ROWS = 50
"""On a page."""
TEXTS = ("recipient", "application", "product", "actor", "purpose", "case")
CHOICES = ("organisation", "road", "action", "outcome")
READ: Final[Mapping[str, Callable[[str], object]]] = {
    "first": day_of,
    "last": day_of,
    "level": partial(number_of, digits=1),
    "grant": partial(number_of, digits=9),
    "before": partial(number_of, digits=9),
}
"""What is not text, and what reads it."""


def build_router(site: Site) -> APIRouter:
    """The routes of those who look on."""
    router, desk = APIRouter(), site.desk

    @router.get("/audit")
    def page(request: Request) -> Response:
        question = _question(request)
        if isinstance(question, Response):
            return question
        (person, asked), before = question, number_of(request.query_params.get("before", ""), 9)
        found = inquiry.page(desk.register, site.zone(), asked, ROWS + 1, before)
        inquiry.record(desk.register, asked, ROAD, min(len(found), ROWS), actor=person.user.name, before=before)
        totals = inquiry.totals(desk.register, site.zone(), asked) if before is None else None
        return _drawn(request, person, asked, found, totals)

    @router.get("/audit.csv")
    def as_csv(request: Request) -> Response:
        question = _question(request)
        if isinstance(question, Response):
            return question
        person, asked = question

        def record(rows: int) -> None:
            inquiry.record(desk.register, asked, ROAD, rows, actor=person.user.name, form="csv")

        return csv_of_audit.answer(site, asked, "audit.csv", record)

    @router.get("/audit/anomalies")
    def unusual(request: Request) -> Response:
        person = _looks_on(site, request, "anomaly.list")
        if isinstance(person, Response):
            return person
        found = anomalies.standing(desk.register, person.user.name, ROAD)
        return site.page(request, "anomalies.html", anomalies=found)

    def _question(request: Request) -> tuple[Person, Asked] | Response:
        """Who asks what, as far as they may and there is such a thing; else what they see instead."""
        person = _looks_on(site, request, inquiry.ACT)
        if isinstance(person, Response):
            return person
        asked = inquiry.permitted(desk.register, _asked(request), person.user.name)
        try:
            require_readable(request.query_params, READ)
            inquiry.require_known(desk.register, asked)
        except CitylakeError as error:
            return _drawn(request, person, asked, problem=error.text(site.voice(request).language))
        return person, asked

    def _drawn(
        request: Request,
        person: Person,
        asked: Asked,
        found: list[dict[str, Any]] | None = None,
        totals: list[inquiry.Total] | None = None,
        problem: str | None = None,
    ) -> Response:
        """`totals`: on the first page; they are those of all pages."""
        snapshot, voice = desk.listing.snapshot(), site.voice(request)
        shown = (found or [])[:ROWS]
        sees_all = bool(users.SEES_ALL & users.counting(person.user.roles))
        return site.page(
            request,
            "audit.html",
            400 if problem else 200,
            rows=shown,
            asked=asked,
            problem=problem,
            totals=totals,
            chosen=urlencode(asked.said()),
            older=shown[-1]["sequence"] if found is not None and len(found) > ROWS else None,
            sees_all=sees_all,
            organisations={
                code: cards.organisation(snapshot, voice, code)
                for code in (snapshot.contracts.codes["organisations"].rows if sees_all else [person.user.organisation])
            },
            named=lambda kind, values: [(value, voice.known(kind, value)) for value in values],
            roads=inquiry.ASKED_ROADS,
            actions=sorted(audit.ACTIONS),
            outcomes=get_args(audit.Outcome),
            levels=snapshot.contracts.city.levels,
        )

    return router


def _looks_on(site: Site, request: Request, act: str) -> Person | Response:
    """The person who asks, or where they go first. Raises Refused for one question too many in this minute."""
    metering.asks(site.desk, request, ANONYMOUS, act, ROAD)
    return signed_in(site, request)


def _asked(request: Request) -> Asked:
    """The question of an address; what is empty does not matter."""
    query = request.query_params
    texts = {name: query.get(name, "").replace("\0", "").strip()[:MOST] or None for name in (*TEXTS, *CHOICES)}
    return Asked(
        first=day_of(query.get("first", "")),
        last=day_of(query.get("last", "")),
        level=number_of(query.get("level", ""), 1),
        grant=number_of(query.get("grant", ""), 9),
        **texts,
    )
