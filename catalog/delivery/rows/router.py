"""The routes of the row API below `/api/v1`. Each asks the desk first and audits its answer before it is sent."""

import hashlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import islice
from typing import Any
from urllib.parse import quote, urlencode

import anyio
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool

from catalog import metering
from catalog.delivery import described, dictionary, workbooks
from catalog.delivery.desk import Admission, Desk, token_id
from catalog.delivery.downloads import about_book
from catalog.delivery.rows import accepting, cursors, keys, openapi, receipts
from catalog.delivery.rows.columns import column_of
from catalog.delivery.rows.cursors import Place
from catalog.delivery.rows.pages import MEDIA_TYPES, Page, Pages
from catalog.delivery.rows.problems import Problem
from catalog.delivery.rows.question import WORDS, Asked, Question, asked, is_filter, question
from catalog.delivery.rows.shelves import Shelf, Shelves
from catalog.listing import Offering
from catalog.policy import audit
from catalog.policy.administration import TOKEN_ENDPOINT
from catalog.policy.decision import Caller, Reason
from pipelines.lake.parquet import sha256
from pipelines.register.chain import Entry, canonical
from pipelines.release.ledger import RELEASE
from pipelines.waits import without_waiting

PREFIX = "/api/v1"
ROAD = "rows"
PRODUCT = "/products/{channel}/{name}"
LISTED = ("limit", "cursor")
MOST_LISTED = 500
MOST_VERSIONS = 30
SMALL_BYTES = 1 << 20
"""Answers up to this size are sent in one piece."""

_About = Callable[[int, Place | None], dict[str, str]]
_Key = tuple[tuple[str, ...], tuple[str, ...]]
"""Columns and their values."""


def build_router(desk: Desk) -> APIRouter:
    """The API's routes over one desk."""
    router = APIRouter(prefix=PREFIX)
    _add_rows(router, desk)
    document = openapi.document(f"{desk.url}{PREFIX}", MOST_LISTED, f"{desk.url}{TOKEN_ENDPOINT}")

    @router.get("/openapi.json")
    def describe() -> JSONResponse:
        return JSONResponse(document)

    @router.api_route("/quota", methods=["GET", "HEAD"])
    def quota(request: Request) -> JSONResponse:
        caller = _caller(desk, request, "quota.get")
        if caller.problem is not None:
            raise desk.refuse(caller, None, caller.problem, "quota.get", ROAD)
        return JSONResponse(metering.stands(desk, request, caller), headers=_headers())

    _add_products(router, desk)
    receipts.add_route(router, desk)
    return router


def _add_products(router: APIRouter, desk: Desk) -> None:
    @router.api_route("/products", methods=["GET", "HEAD"])
    def list_products(request: Request) -> Response:
        caller = _caller(desk, request, "product.list")
        if caller.problem is not None:
            raise desk.refuse(caller, None, caller.problem, "product.list", ROAD)
        found = asked(request.query_params.multi_items(), LISTED)
        limit, key = found.limit(MOST_LISTED), desk.settings.key("cursors")
        cursor = found.reserved.get("cursor")
        (after,) = ("",) if cursor is None else cursors.unseal(key, 0, "products", cursor)
        visible = {item.offering.product.id: item for item in desk.visible(caller, desk.listing.snapshot(), ROAD)}
        names = [name for name in sorted(visible) if name > (after or "")]
        shown = [_summary(desk, visible[name]) for name in names[:limit]]
        answer: dict[str, Any] = {"products": shown}
        links = dict[str, str]()
        if len(names) > limit:
            answer["next"] = cursors.seal(key, 0, "products", (names[limit - 1],))
            links["next"] = _with_cursor(desk, request, answer["next"])
        body = {"road": ROAD, "items": len(shown), **token_id(caller)}
        audit.record(
            desk.register, "product.list", "allowed", body, recipient=caller.recipient, application=caller.application
        )
        return JSONResponse(answer, headers={**_headers(), **described.link(links)})

    @router.api_route(PRODUCT, methods=["GET", "HEAD"])
    def get_product(request: Request, channel: str, name: str) -> Response:
        caller = _caller(desk, request, "product.get")
        admission = desk.admit(caller, f"{channel}/{name}", "product.get", ROAD)
        asked(request.query_params.multi_items(), ())
        extract = desk.views.extract(admission.allowed)
        columns = {item["name"]: column_of(item) for item in extract.fields}
        product = admission.offering.product
        columns_told = [
            {**asdict(entry), "filters": _operators(columns[entry.column].ordered)}
            for entry in dictionary.entries(product, extract.columns, admission.allowed.masks)
        ]
        answer = {
            **_summary(desk, admission),
            "description": product.form.description or product.contract.form.description,
            "key": [name for name in product.contract.form.key if name in extract.columns],
            "versions": _versions(desk, admission),
            "columns": columns_told,
        }
        desk.answered(admission, "product.get", ROAD)
        return JSONResponse(answer, headers={**_headers(), **_about_links(desk, admission.offering)})


def _add_rows(router: APIRouter, desk: Desk) -> None:
    shelves, pages = Shelves(desk.views), Pages(desk.views.folders)

    def made(request: Request) -> tuple[Response, Entry | None]:
        product = "{channel}/{name}".format(**request.path_params)
        admission = desk.admit(_caller(desk, request, "rows.read"), product, "rows.read", ROAD)
        found = asked(request.query_params.multi_items())
        kind = accepting.chosen(found.reserved.get("format"), request.headers.get("accept"))
        return _Reading(desk, shelves, pages, request, _at(desk, admission, found), found, kind).answer()

    async def made_in_loop(request: Request) -> Response | None:
        """The answer if nothing had to be waited for and the audit has it under the number that was assumed. A refusal
        or an error is none: it may come of what is over."""
        try:
            with without_waiting() as tried:
                answer, audited = made(request)
        except Exception:
            return None
        stood = audited is not None and await audit.written(desk.register, audited._replace(basis=tried.assumed))
        return answer if stood else None

    async def read_rows(request: Request) -> Response:
        quick = await made_in_loop(request)
        if quick is not None:
            return quick
        metering.begins_anew(request)
        answer, audited = await run_in_threadpool(made, request)
        if audited is not None:
            await audit.written(desk.register, audited)
        return answer

    # Not by `api_route`: it has no parameters to check, and what FastAPI does for them costs as much as a look-up.
    router.add_route(f"{PREFIX}{PRODUCT}/rows", read_rows, ["GET", "HEAD"])


@dataclass(frozen=True)
class _Reading:
    """One request for rows that was let in."""

    desk: Desk
    shelves: Shelves
    pages: Pages
    request: Request
    admission: Admission
    asked: Asked
    kind: str

    def answer(self) -> tuple[Response, Entry | None]:
        """The rows, or 304 when the client has them already; and the row that the audit must have first, None if it has
        it."""
        allowed = self.admission.allowed
        shelf = self.shelves.get(allowed)
        limit, wanted = self.asked.limit(), self._question(shelf)
        bound = [allowed.product, shelf.extract.key, shelf.rows.fingerprint, wanted.to_json()]
        cursor = self.asked.reserved.get("cursor")
        after = None if cursor is None else cursors.unseal(self._key, allowed.version, bound, cursor)
        contract = self.admission.offering.product.contract.hash
        etag = _etag([bound, allowed.version, cursor, limit, self.kind, contract])
        headers = {**_headers(), "ETag": etag, "Product-Version": str(allowed.version)}
        if _matches(self.request.headers.get("if-none-match"), etag):
            return Response(status_code=304, headers=headers), self._audit(shelf, wanted, 0, status=304)

        def about(rows: int, following: Place | None) -> dict[str, str]:
            """The headers of the answer."""
            metering.gave(self.request, rows)
            links = dict[str, str]()
            if following is not None:
                sealed = cursors.seal(self._key, allowed.version, bound, following)
                links["next"] = _with_cursor(self.desk, self.request, sealed, self.kind)
            linked = _about_links(self.desk, self.admission.offering, links)
            return headers | {"Row-Count": str(rows), **linked, **self._disposition()}

        key = self._key_of(shelf, wanted)
        if (values := keys.asked_key(wanted, key)) is not None:
            return self._looked_up(shelf, wanted, (key, values), (after, limit), about)
        return self._paged(shelf, wanted, (after, limit), about), None

    @property
    def _key(self) -> bytes:
        return self.desk.settings.key("cursors")

    def _question(self, shelf: Shelf) -> Question:
        """What is asked. A column of the product that the grant hides is answered as if there were none, and audited.

        Raises Problem, AuditUnavailable.
        """
        try:
            return question(self.asked, shelf.columns)
        except Problem as problem:
            product, name = self.admission.offering.product, problem.arguments.get("name")
            if problem.rule == "unknown_column" and any(column.name == name for column in product.columns):
                self.desk.refuse(
                    self.admission.caller, product.id, Reason.COLUMN_NOT_GRANTED, "rows.read", ROAD, column=name
                )
            raise

    def _key_of(self, shelf: Shelf, wanted: Question) -> tuple[str, ...]:
        """The columns of the index that can answer, empty if none can."""
        chosen = wanted.fields != shelf.columns
        inexact = chosen and any(column.kind in ("decimal", "other") for column in wanted.fields)
        if self.kind not in ("json", "ndjson") or inexact:
            return ()
        return keys.key_of(self.admission.offering.product, shelf.columns)

    def _looked_up(
        self, shelf: Shelf, wanted: Question, by: _Key, part: tuple[Place | None, int], about: _About
    ) -> tuple[Response, Entry]:
        key, values = by
        lines, following = self.shelves.keys(self.admission.allowed, shelf, key).find(values, *part)
        fields = [column.name for column in wanted.fields] if wanted.fields != shelf.columns else None
        headers, content = about(len(lines), following), keys.answer(self.kind, lines, fields)
        answer = Response(content, headers=headers, media_type=MEDIA_TYPES[self.kind])
        return answer, self._audit(shelf, wanted, len(lines))

    def _paged(self, shelf: Shelf, wanted: Question, part: tuple[Place | None, int], about: _About) -> Response:
        offering, allowed = self.admission.offering, self.admission.allowed
        columns, (after, limit) = [column.name for column in wanted.shown], part

        def book(rows: int) -> workbooks.About:
            return about_book(offering, self.desk.url, allowed, columns, rows, bool(self.desk.said))

        page = self.pages.write(wanted, shelf.rows, after, limit, self.kind, book)
        try:
            all_rows = not wanted.filters and after is None and page.next is None
            facts = {"sha256": sha256(page.file), **({"whole": True} if all_rows else {})}
            given = self._audit(shelf, wanted, page.rows, **facts)
            audit.write(self.desk.register, given)
            metering.lasts(self.request, self._stands)
            return _sent(page, about(page.rows, page.next), MEDIA_TYPES[self.kind])
        except BaseException:
            page.drop()
            raise

    def _stands(self, sent: int) -> None:
        self.desk.stands(self.admission, "rows.read", ROAD, sent=sent)

    def _audit(self, shelf: Shelf, wanted: Question, rows: int, **facts: Any) -> Entry:
        """The audit's row of the answer. Raises Refused."""
        shown = [column.name for column in (wanted.group if wanted.aggregated else wanted.fields)]
        about = {"policy": shelf.extract.key, "columns": shown, "used": wanted.used, "rows": rows, **facts}
        about["format"] = self.kind
        if wanted.aggregated:
            about["aggregates"] = [item.output.name for item in wanted.aggregates]
        return self.desk.answering(self.admission, "rows.read", ROAD, method=self.request.method, **about)

    def _disposition(self) -> dict[str, str]:
        if self.kind in ("json", "ndjson"):
            return {}
        product, version = self.admission.offering.product, self.admission.allowed.version
        plain, chinese = f"{product.name}_v{version}.{self.kind}", f"{product.form.name}_v{version}.{self.kind}"
        named = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(chinese, safe='')}"
        return {"Content-Disposition": named}


def _sent(page: Page, headers: Mapping[str, str], media_type: str) -> Response:
    """The file of a page as an answer; it is deleted when it has been sent."""
    size = page.file.stat().st_size
    if size <= SMALL_BYTES:
        content = page.file.read_bytes()
        page.drop()
        return Response(content, headers=dict(headers), media_type=media_type)
    sized = {**headers, "Content-Length": str(size)}
    return StreamingResponse(_chunks(page), headers=sized, media_type=media_type, background=BackgroundTask(page.drop))


async def _chunks(page: Page) -> AsyncIterator[bytes]:
    try:
        async with await anyio.open_file(page.file, "rb") as file:
            while chunk := await file.read(SMALL_BYTES):
                yield chunk
    finally:
        page.drop()  # also when the client went away


def _at(desk: Desk, admission: Admission, found: Asked) -> Admission:
    """The read of the version asked for: that of `as_of`, else that of the cursor, else the published one.

    Raises Refused for a version that was withdrawn, ended or never released.
    """
    version = found.version()
    if version is None and "cursor" in found.reserved:
        version = cursors.version_of(found.reserved["cursor"])
    if version is None or version == admission.allowed.version:
        return admission
    caller, product = admission.caller, admission.allowed.product
    then = desk.at_version(admission, version)
    if then is None:
        ended = version in desk.listing.ended_versions(product)
        raise desk.refuse(caller, product, Reason.VERSION_ENDED if ended else Reason.VERSION_UNKNOWN, "rows.read", ROAD)
    if not then.allowed.columns:
        raise desk.refuse(caller, product, Reason.GRANT_EMPTY, "rows.read", ROAD)
    history = desk.listing.ledger.history(product, 1000)
    release = next((item for item in history if item.kind == RELEASE and item.version == version), None)
    return replace(then, offering=replace(then.offering, release=release or then.offering.release))


def _caller(desk: Desk, request: Request, action: str) -> Caller:
    return metering.asks(desk, request, metering.shows(desk, request), action, ROAD)


def _summary(desk: Desk, admission: Admission) -> dict[str, Any]:
    product, release = admission.offering.product, admission.offering.release
    assert release is not None
    own = f"{desk.url}{PREFIX}/products/{product.id}"
    return {
        "id": product.id,
        "channel": product.channel,
        "name": product.name,
        "title": {"zh": product.form.name, "en": product.form.nameEn},
        "version": admission.allowed.version,
        "as_of": release.body.get("as_of"),
        "licence": product.form.licence,
        "links": {
            "self": own,
            "rows": f"{own}/rows",
            "page": f"{desk.url}/datasets/{product.id}",
            "dictionary": f"{desk.url}/datasets/{product.id}/dictionary.csv",
        },
    }


def _versions(desk: Desk, admission: Admission) -> list[dict[str, Any]]:
    """The newest versions that can be read, the newest first."""
    bodies = desk.listing.readable_versions(admission.allowed.product)
    readable = (version for version in sorted(bodies, reverse=True) if desk.at_version(admission, version))
    return [{"version": version, "as_of": bodies[version].get("as_of")} for version in islice(readable, MOST_VERSIONS)]


def _operators(ordered_kind: bool) -> list[str]:
    return list(WORDS) if ordered_kind else ["null"]


def _headers() -> dict[str, str]:
    return {"Cache-Control": "private, no-cache", "Vary": "Accept, Authorization"}


def _about_links(desk: Desk, offering: Offering, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The Link header of a delivery: its licence and its dictionary, by RFC 8288."""
    own = {"describedby": f"{desk.url}{PREFIX}/products/{offering.product.id}"}
    return described.link({**(more or {}), **described.addresses(desk.url, offering.product), **own})


def _with_cursor(desk: Desk, request: Request, cursor: str, kind: str | None = None) -> str:
    """The address of the next page; it names the format, because a link has no Accept header."""
    set_anew = ("cursor", *(["format"] if kind else []))
    given = request.query_params.multi_items()
    kept = [(name, value) for name, value in given if name not in set_anew or is_filter(value)]
    kept += [("format", kind)] if kind else []
    return f"{desk.url}{quote(request.url.path)}?{urlencode([*kept, ('cursor', cursor)])}"


def _etag(parts: object) -> str:
    return f'W/"{hashlib.sha256(canonical(parts).encode()).hexdigest()[:32]}"'


def _matches(header: str | None, etag: str) -> bool:
    """If-None-Match by RFC 9110: weak comparison with each tag, `*` for anything."""
    tags = [] if header is None else [tag.strip().removeprefix("W/") for tag in header.split(",")]
    return "*" in tags or etag.removeprefix("W/") in tags
