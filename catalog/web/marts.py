"""The page of the analysts' database and its file. The tables in it are those of the analyst channel."""

from fastapi import APIRouter, Request
from fastapi.responses import Response

from catalog import metering
from catalog.delivery import ranges
from catalog.delivery.desk import Desk
from catalog.delivery.downloads import SentFile, checksum_headers
from catalog.delivery.marts import MartsFile, Outdated
from catalog.policy.decision import Allowed
from catalog.web import cards
from catalog.web.cards import Card
from catalog.web.site import Site

ROAD = "web"
MEDIA_TYPE = "application/vnd.duckdb"


def build_router(site: Site) -> APIRouter:
    """The routes of the analysts' database."""
    router = APIRouter()
    desk = site.desk

    @router.get("/marts")
    def marts(request: Request) -> Response:
        decision = desk.decide_marts(site.caller(request), ROAD)
        every = cards.cards(desk.listing.snapshot(), site.voice(request))
        return site.page(
            request,
            "marts.html",
            allowed=decision if isinstance(decision, Allowed) else None,
            reason=None if isinstance(decision, Allowed) else decision.reason.value,
            file=_file(desk) if isinstance(decision, Allowed) else None,
            tables=sorted((card for card in every if _is_analysts(card)), key=lambda card: card.id),
        )

    @router.api_route("/marts/marts.duckdb", methods=["GET", "HEAD"])
    def download(request: Request) -> Response:
        caller = metering.asks(desk, request, site.caller(request), "download", ROAD)
        allowed = desk.admit_marts(caller, "download", ROAD)
        file = desk.marts_file()
        checksums = checksum_headers(file.sha256)
        part = ranges.asked(request.method, request.headers, file.size, checksums["ETag"])
        about = {"method": request.method, **part.said}
        facts = {"file": file.path.name, "rows": file.rows, "bytes": file.size, "sha256": file.sha256}
        desk.answered_marts(caller, allowed, "download", ROAD, **facts, **about)
        part.require_bytes()
        metering.gave(request, file.rows, file.size)
        metering.lasts(request, lambda sent: desk.marts_stand(caller, file, "download", ROAD, sent=sent))
        headers = {
            "Content-Disposition": f'attachment; filename="{file.path.name}"',
            **checksums,
            "Cache-Control": "private, no-cache",
        }
        return SentFile(file.path, part, headers, MEDIA_TYPE)

    return router


def _is_analysts(card: Card) -> bool:
    return card.facets["channel"].code == "analyst"


def _file(desk: Desk) -> MartsFile | None:
    """The file as pages show it, None while it is being made anew."""
    try:
        return desk.marts_file()
    except Outdated:
        return None
