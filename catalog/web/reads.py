"""What was done in a recipient's own name: by pages, and as CSV. Asking is a row of the audit too."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final, get_args
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from catalog import metering
from catalog.delivery.desk import token_id
from catalog.delivery.reads import receipt_for_caller
from catalog.delivery.receipt import zipped
from catalog.policy import audit, inquiry
from catalog.policy.decision import MARTS, Caller
from catalog.web import csv_of_audit
from catalog.web.forms import MOST, day_of, number_of, require_readable
from catalog.web.site import Site
from pipelines.messages import CitylakeError
from pipelines.release.signing import signer_of

ROAD = "web"
ROWS = 50
"""On a page."""
OUTCOMES = get_args(audit.Outcome)
READ: Final[Mapping[str, Callable[[str], object]]] = {
    "first": day_of,
    "last": day_of,
    "before": partial(number_of, digits=9),
}
"""What is not text, and what reads it."""
INSIDE = frozenset({"actor", "why", "given_by", "approver"})
"""Names of officers and their words among themselves."""


def build_router(site: Site) -> APIRouter:
    """The routes of a recipient's own reads."""
    router, desk = APIRouter(), site.desk

    @router.get("/access/reads")
    def reads(request: Request) -> Response:
        caller = _signed_in(site, request)
        if caller is None:
            return RedirectResponse("/login?next=/access/reads", 303)
        asked, start = _asked(request, caller), number_of(request.query_params.get("before", ""), 9)
        if (problem := _problem(request, asked)) is not None:
            return _drawn(request, asked, [], problem)
        found = inquiry.page(desk.register, site.zone(), asked, ROWS + 1, start)
        _audit(site, caller, asked, len(found[:ROWS]))
        return _drawn(request, asked, found)

    @router.get("/access/reads.csv")
    def reads_as_csv(request: Request) -> Response:
        caller = _signed_in(site, request)
        if caller is None:
            return RedirectResponse("/login?next=/access/reads", 303)
        asked = _asked(request, caller)
        if (problem := _problem(request, asked)) is not None:
            return _drawn(request, asked, [], problem)

        def record(rows: int) -> None:
            _audit(site, caller, asked, rows)

        return csv_of_audit.answer(site, asked, "reads.csv", record, INSIDE)

    @router.get("/access/reads/receipt.zip")
    def reads_as_receipt(request: Request) -> Response:
        caller = _signed_in(site, request)
        if caller is None:
            return RedirectResponse("/login?next=/access/reads", 303)
        asked = replace(_asked(request, caller), outcome=None)
        if (problem := _problem(request, asked)) is not None:
            return _drawn(request, asked, [], problem)
        try:
            _require_product(site, asked.product)  # what is signed holds no text of a client
            signer = signer_of(desk.settings, desk.listing.city())
            statement, signature, told = receipt_for_caller(desk, caller, asked, ROAD, signer)
        except CitylakeError as error:
            return _drawn(request, asked, [], error.text(site.voice(request).language))
        _audit(site, caller, asked, told, sha256=hashlib.sha256(statement.encode()).hexdigest())
        headers = {"Content-Disposition": 'attachment; filename="receipt.zip"', "Cache-Control": "private, no-store"}
        return Response(zipped(statement, signature, signer), headers=headers, media_type="application/zip")

    def _problem(request: Request, asked: inquiry.Asked) -> str | None:
        """What is wrong with a question, None for nothing. A product that is none has no rows: whether others asked
        for it is not told."""
        try:
            require_readable(request.query_params, READ)
            inquiry.require_known(desk.register, replace(asked, product=None))
        except CitylakeError as error:
            return error.text(site.voice(request).language)
        return None

    def _drawn(
        request: Request, asked: inquiry.Asked, found: list[dict[str, Any]], problem: str | None = None
    ) -> Response:
        shown = found[:ROWS]
        return site.page(
            request,
            "reads.html",
            400 if problem else 200,
            reads=shown,
            asked=asked,
            problem=problem,
            chosen=urlencode({name: value for name, value in asked.said().items() if name != "recipient"}),
            older=shown[-1]["sequence"] if len(found) > ROWS else None,
            outcomes=OUTCOMES,
        )

    return router


def _signed_in(site: Site, request: Request) -> Caller | None:
    """The recipient who asks, None for nobody. Raises Refused for a token that does not hold and for one question too
    many in this minute."""
    caller = metering.asks(site.desk, request, site.caller(request), inquiry.ACT, ROAD)
    if caller.problem is not None:
        raise site.desk.refuse(caller, None, caller.problem, inquiry.ACT, ROAD)
    return None if caller.recipient is None else caller


def _asked(request: Request, caller: Caller) -> inquiry.Asked:
    """The question of an address, about the caller alone; what is empty does not matter."""
    query = request.query_params
    return inquiry.Asked(
        first=day_of(query.get("first", "")),
        last=day_of(query.get("last", "")),
        recipient=caller.recipient,
        product=query.get("product", "").replace("\0", "") or None,
        outcome=query.get("outcome", "")[:MOST] or None,
    )


def _audit(site: Site, caller: Caller, asked: inquiry.Asked, count: int, **facts: str) -> None:
    """The audit keeps no text of a client: a product that is none is left out of the row."""
    kept = replace(asked, product=asked.product if _known(site, asked.product) else None)
    about = {"recipient": caller.recipient, "application": caller.application, **token_id(caller), **facts}
    inquiry.record(site.desk.register, kept, ROAD, count, **about)


def _known(site: Site, product: str | None) -> bool:
    return product == MARTS or product in site.desk.listing.snapshot().contracts.products


def _require_product(site: Site, product: str | None) -> None:
    """Raises CitylakeError for a text that names no product."""
    if product is not None and not _known(site, product):
        raise CitylakeError("audit.unknown", name="product", value=product[:MOST])
