"""The one thing a program may do here: make the successor of the token or client secret that it shows itself.

Whether what is shown may be renewed is the policy's to say.
"""

from functools import partial

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from catalog import metering, oauth
from catalog.access.asking import NOT_KEPT, Body, form_of, issued, require_json
from catalog.access.forms import Renewal
from catalog.access.refusals import of_policy
from catalog.delivery.desk import Desk
from catalog.policy import renewal
from catalog.policy.decision import Caller
from pipelines.messages import CitylakeError

PATH = "/renew"
ROAD = "oauth"


def add_route(router: APIRouter, desk: Desk) -> None:
    """Add the route to those of the API."""

    @router.post(PATH)
    def renew(request: Request, body: Body) -> JSONResponse:
        holder = _holder(desk, request)
        require_json(request)
        form = form_of(Renewal, body)
        limits = desk.listing.city().limits.credentials
        try:
            made = renewal.by_holder(desk.register, limits, holder, form.overlap_hours, ROAD)
        except CitylakeError as error:
            return of_policy(error)
        return JSONResponse(issued(desk, made), 201, NOT_KEPT)


def _holder(desk: Desk, request: Request) -> Caller:
    """Who shows a token or a client's secret. Raises Refused for anybody else; audited."""
    header = request.headers.get("authorization", "")
    if header[:6].lower() == "basic ":
        caller = desk.callers.from_client(*oauth.basic(header), partial(metering.origin, desk, request))
    else:
        caller = metering.shows(desk, request)
    return metering.receives(desk, request, caller, renewal.ACT, ROAD)[0]
