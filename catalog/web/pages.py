"""Pages and files of datasets: home, list, dataset, preview, dictionary, download. Texts of cards are in `cards`."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from catalog import metering
from catalog.delivery import described, dictionary, downloads, formats, ranges, workbooks
from catalog.delivery.desk import Admission, Desk
from catalog.delivery.formats import Format
from catalog.listing import Offering
from catalog.policy.callers import PUBLIC_TOKEN
from catalog.policy.decision import Allowed, Caller, Decision
from catalog.web import cards, search
from catalog.web.site import Site
from pipelines.evidence import freshness
from pipelines.lake import lineage
from pipelines.register.receipts import Receipts
from pipelines.register.store import now

ROAD = "web"
RECENT = 8
HISTORY = 30


def build_router(site: Site) -> APIRouter:
    """The routes of datasets."""
    router = APIRouter()
    _add_lists(router, site)
    _add_dataset(router, site)
    _add_files(router, site)
    return router


def _add_lists(router: APIRouter, site: Site) -> None:
    desk = site.desk

    @router.get("/")
    def home(request: Request) -> Response:
        snapshot, voice = desk.listing.snapshot(), site.voice(request)
        found = cards.cards(snapshot, voice)
        facets = search.answer(found, search.Question(), voice.language).facets
        models = [entry for name, entry in snapshot.published.items() if name in snapshot.contracts.models]
        return site.page(
            request,
            "home.html",
            channels=facets["channel"],
            themes=facets["theme"],
            models=len(models),
            model_rows=sum(int(entry.body.get("rows", 0)) for entry in models),
            departments=len({source.org for source in snapshot.contracts.sources.values()}),
            recent=found[:RECENT],
        )

    @router.get("/datasets")
    def datasets(request: Request) -> Response:
        voice = site.voice(request)
        every = cards.cards(desk.listing.snapshot(), voice)
        answer = search.answer(every, search.question(request.query_params), voice.language)
        return site.page(request, "datasets.html", answer=answer, orders=search.ORDERS)


def _add_dataset(router: APIRouter, site: Site) -> None:
    desk = site.desk

    @router.get("/datasets/{channel}/{name}")
    def dataset(request: Request, channel: str, name: str) -> Response:
        offering = _published(desk, channel, name)
        snapshot, voice, caller = desk.listing.snapshot(), site.voice(request), site.caller(request)
        decision = desk.decide(caller, offering, ROAD)
        product = offering.product
        seen = decision.columns if isinstance(decision, Allowed) else None
        masks = decision.masks if isinstance(decision, Allowed) else ()
        upstream = lineage.upstream(desk.settings.dbt_project, product.contract.form.model)
        return site.page(
            request,
            "dataset.html",
            card=cards.card(snapshot, voice, offering),
            product=product,
            form=product.contract.form,
            release=offering.release,
            entries=dictionary.entries(product, masks_by_purpose=masks),
            history=desk.listing.ledger.history(product.id, HISTORY),
            upstream=upstream,
            sources={item: snapshot.contracts.sources.get(item) for item in upstream.sources},
            published=snapshot.published,
            organisation=lambda code: cards.organisation(snapshot, voice, code),
            levels=snapshot.contracts.city.levels,
            allowed=decision if isinstance(decision, Allowed) else None,
            reason=None if isinstance(decision, Allowed) else decision.reason.value,
            files=_released_files(desk, caller, offering),
            formats=_names(desk.downloads.formats(offering, seen)),
            fits=_fits_a_sheet(offering, decision),
            most_rows=workbooks.MOST_ROWS,
            freshness=_freshness(desk, offering, upstream),
            base=desk.url,
        )

    @router.get("/datasets/{channel}/{name}/preview")
    def preview(request: Request, channel: str, name: str) -> Response:
        caller = metering.asks(desk, request, site.caller(request), "preview", ROAD)
        admission = desk.admit(caller, f"{channel}/{name}", "preview", ROAD)
        extract = desk.views.extract(admission.allowed)
        rows = desk.preview(extract)
        told = dictionary.entries(admission.offering.product, extract.columns, admission.allowed.masks)
        entries = {item.column: item for item in told}
        desk.answered(admission, "preview", ROAD, policy=extract.key, rows=len(rows))
        return site.page(
            request,
            "preview.html",
            card=cards.card(desk.listing.snapshot(), site.voice(request), admission.offering),
            allowed=admission.allowed,
            columns=[entries[column] for column in extract.columns],
            rows=rows,
            total=extract.rows,
            formats=_names(desk.downloads.formats(admission.offering, extract.columns)),
            fits=extract.rows <= workbooks.MOST_ROWS,
        )


def _add_files(router: APIRouter, site: Site) -> None:
    desk = site.desk

    @router.api_route("/datasets/{channel}/{name}/download/{kind}", methods=["GET", "HEAD"])
    def download(request: Request, channel: str, name: str, kind: str) -> Response:
        caller = metering.asks(desk, request, site.caller(request), "download", ROAD)
        admission = desk.admit(caller, f"{channel}/{name}", "download", ROAD)
        offered = desk.downloads.formats(admission.offering, admission.allowed.columns)
        chosen = next((item for item in offered if item == kind), None)
        if chosen is None:
            raise HTTPException(404)
        file = desk.downloads.get(admission.offering, admission.allowed, chosen)
        extract = desk.views.extract(admission.allowed)
        facts = {"policy": extract.key, "format": chosen, "rows": extract.rows, "bytes": file.size}
        headers = _headers(desk, admission, file)
        part = ranges.asked(request.method, request.headers, file.size, headers["ETag"])
        about = {"method": request.method, **part.said, "sha256": file.sha256}
        desk.answered(admission, "download", ROAD, **facts, **about)
        part.require_bytes()
        metering.gave(request, extract.rows, file.size)
        metering.lasts(request, lambda sent: desk.stands(admission, "download", ROAD, sent=sent))
        return downloads.SentFile(file.path, part, headers, formats.MEDIA_TYPES[chosen])

    @router.get("/datasets/{channel}/{name}/dictionary.{kind}")
    def data_dictionary(channel: str, name: str, kind: str) -> Response:
        offering = _published(desk, channel, name)
        rows = dictionary.entries(offering.product)
        if kind == "json":
            about = {"product": offering.product.id, **desk.said}
            return JSONResponse({**about, "columns": [asdict(row) for row in rows]})
        if kind != "csv":
            raise HTTPException(404)
        disposition = {"Content-Disposition": f'attachment; filename="{offering.product.name}_dictionary.csv"'}
        return Response(dictionary.as_csv(rows, desk.said), media_type=formats.MEDIA_TYPES["csv"], headers=disposition)

    @router.get("/open.share")
    def open_profile() -> Response:
        endpoint = f"{desk.url}/delta-sharing"
        profile: dict[str, Any] = {"shareCredentialsVersion": 1, "endpoint": endpoint, "bearerToken": PUBLIC_TOKEN}
        return JSONResponse(profile, headers={"Content-Disposition": 'attachment; filename="open.share"'})


def _published(desk: Desk, channel: str, name: str) -> Offering:
    offering = desk.listing.snapshot().find(f"{channel}/{name}")
    if offering is None or offering.release is None:
        raise HTTPException(404)
    return offering


def _headers(desk: Desk, admission: Admission, file: downloads.Download) -> dict[str, str]:
    product = admission.offering.product
    version, made_up = admission.allowed.version, bool(desk.said)
    own = downloads.headers(file, product.form.name, product.name, version, made_up)
    return {**own, **described.link(described.addresses(desk.url, product))}


def _released_files(desk: Desk, caller: Caller, offering: Offering) -> list[downloads.Download]:
    decision = desk.decide(caller, offering, ROAD)
    return desk.downloads.released(offering, decision) if isinstance(decision, Allowed) else []


def _names(offered: Sequence[Format]) -> dict[Format, str]:
    return {kind: formats.NAMES[kind] for kind in offered}


def _fits_a_sheet(offering: Offering, decision: Decision) -> bool:
    """Whether XLSX is worth offering. How many rows a limited caller may read is not counted for a page."""
    assert offering.release is not None
    limited = isinstance(decision, Allowed) and decision.limited
    return limited or int(offering.release.body.get("rows", 0)) <= workbooks.MOST_ROWS


@dataclass(frozen=True)
class Freshness:
    """When the data last came, by when the update cycle wants the next, None for no cycle, and how many days they are
    late. The release time is another matter: what did not change is not released again."""

    last: datetime | None
    due: datetime | None
    days_late: int


def _freshness(desk: Desk, offering: Offering, upstream: lineage.Upstream) -> Freshness:
    receipts, cycle = Receipts(desk.register, "catalogue"), offering.product.contract.form.slaProperties.frequency
    contracts = desk.listing.snapshot().contracts
    found = freshness.of_dataset(
        contracts, cycle, upstream.sources, lambda source: freshness.last_delivery(receipts, source)
    )
    return Freshness(found.last, found.due, found.days_late(now()))
