"""`GET /api/v1/receipt?first=&last=`: the signed receipt of what the caller read in days of the city, by any road."""

import hashlib
from datetime import date
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from catalog import metering
from catalog.delivery.desk import Desk, token_id
from catalog.delivery.reads import MOST_DAYS, receipt_for_caller
from catalog.delivery.rows.problems import Problem
from catalog.delivery.rows.question import asked
from catalog.policy import inquiry
from catalog.policy.reads import MOST_ENTRIES
from pipelines.messages import CitylakeError
from pipelines.release.signing import signer_of

PATH = "/receipt"
ROAD = "rows"
FIRST_YEAR, LAST_YEAR = 2000, 2200


def add_route(router: APIRouter, desk: Desk) -> None:
    """Add the route to those of the API."""

    @router.get(PATH)
    def receipt(request: Request) -> JSONResponse:
        caller, recipient = metering.receives(desk, request, metering.shows(desk, request), inquiry.ACT, ROAD)
        given = asked(request.query_params.multi_items(), ("first", "last")).reserved
        about = inquiry.Asked(_day(given, "first"), _day(given, "last"), recipient=recipient)
        if about.first and about.last and about.last < about.first:
            raise Problem("bad_period", "last")
        signer = signer_of(desk.settings, desk.listing.city())
        try:
            statement, signature, told = receipt_for_caller(desk, caller, about, ROAD, signer)
        except CitylakeError as error:
            if error.code == "receipt.too_long":
                raise Problem("receipt_too_long", "first", most=MOST_DAYS) from error
            if error.code != "receipt.too_many":
                raise
            raise Problem("receipt_too_many", "first", status=413, most=f"{MOST_ENTRIES:,}") from error
        signed: dict[str, Any] = {"sha256": hashlib.sha256(statement.encode()).hexdigest(), **token_id(caller)}
        who = {"recipient": recipient, "application": caller.application}
        inquiry.record(desk.register, about, ROAD, told, **who, **signed)
        return JSONResponse(
            {"statement": statement, "signature": signature}, headers={"Cache-Control": "private, no-store"}
        )


def _day(given: Any, name: str) -> date:
    """A day that has to be there. Raises Problem."""
    text = given.get(name, "")
    try:
        found = date.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or len(text) != 10 or not FIRST_YEAR <= found.year < LAST_YEAR:
        raise Problem("bad_day", name, value=text[:40])
    return found
