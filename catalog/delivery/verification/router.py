"""The road of the verification service: `GET /verify/licence/{identifier}?on=YYYY-MM-DD`, for recipients with a grant.

One identifier a question, at most so many a minute as the product's contract and release say, and every question is a
row of the audit: who asked on which grant, what was answered, and the identifier as a keyed hash, so that an auditor
who has a licence in hand can find who asked for it, and nobody can read which licences were asked for.
"""

import hashlib
import hmac
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from catalog import metering
from catalog.delivery import described
from catalog.delivery.desk import Admission, Desk
from catalog.delivery.sharing.errors import BadRequest
from catalog.delivery.verification import openapi
from catalog.delivery.verification.licences import KEY, PRODUCT, Answer, cleaned, verify
from catalog.policy import audit
from catalog.policy.administration import TOKEN_ENDPOINT
from catalog.policy.decision import Reason
from pipelines.register import Register
from pipelines.register.store import now
from pipelines.settings import Settings

PREFIX = "/verify"
ROAD, ACTION = "verification", "licence.verify"
HEADERS = {"Cache-Control": "private, no-store"}


def build_router(desk: Desk) -> APIRouter:
    """The service's route over one desk."""
    router = APIRouter(prefix=PREFIX)
    document = openapi.document(f"{desk.url}{PREFIX}", f"{desk.url}{TOKEN_ENDPOINT}")

    @router.get("/openapi.json")
    def describe() -> JSONResponse:
        return JSONResponse(document)

    @router.get("/licence/{identifier}")
    def verify_licence(request: Request, identifier: str) -> JSONResponse:
        caller = metering.asks(desk, request, metering.shows(desk, request), ACTION, ROAD)
        admission = desk.admit(caller, PRODUCT, ACTION, ROAD, one_key=True)
        if (most := admission.offering.lookups) is not None:  # what was released as a table can be had whole
            bucket = f"{PRODUCT} {caller.recipient}"
            desk.hold_back(caller, PRODUCT, ACTION, ROAD, desk.rates.wait(bucket, most), desk.rates.untold(bucket))
        today = _today(desk)
        answer = _answer(desk, admission, identifier, _day(request.query_params, today))
        facts = {"verdict": answer.verdict.value, "licence": hashed(desk.settings, desk.register, identifier)}
        desk.answered(admission, ACTION, ROAD, as_of=answer.asked_for.isoformat(), **facts)
        about = described.link(described.addresses(desk.url, admission.offering.product))
        return JSONResponse(answer.to_json(), headers={**HEADERS, **about})

    return router


def hashed(settings: Settings, register: Register, identifier: str) -> str:
    """An identifier as the audit keeps it: HMAC-SHA-256 under a key of this installation, in hexadecimal.

    Raises LostKey: under another key who asked for it would not be found any more.
    """
    key = settings.first_key("audit", lambda: audit.given(register, PRODUCT))
    return hmac.new(key, cleaned(identifier).encode(), hashlib.sha256).hexdigest()


def _answer(desk: Desk, admission: Admission, identifier: str, day: date) -> Answer:
    """Raises Refused for a grant that does not show the identifier; LakeError."""
    extract = desk.views.extract(admission.allowed)
    if KEY not in extract.columns:
        raise desk.refuse(admission.caller, PRODUCT, Reason.GRANT_EMPTY, ACTION, ROAD)
    assert admission.offering.release is not None
    known_on = date.fromisoformat(admission.offering.release.body["as_of"])
    with desk.views.folders.connection() as con:
        return verify(con, identifier, day, extract.relation, extract.columns, known_on)


def _today(desk: Desk) -> date:
    return now().astimezone(ZoneInfo(desk.listing.snapshot().contracts.city.timezone)).date()


def _day(query: Mapping[str, Any], today: date) -> date:
    """The day asked for, today without one. Raises BadRequest for anything but a day up to today."""
    text = query.get("on")
    if text is None:
        return today
    try:
        day = datetime.strptime(text, "%Y-%m-%d").date()
    except ValueError as error:
        raise BadRequest("web.verify.bad_day", day=text[:20]) from error
    if day > today:
        raise BadRequest("web.verify.future_day", day=day)
    return day
