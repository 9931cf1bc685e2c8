"""Which rows of the refused version of a model fail its rules, for those who may look: keys of the open level, and of
any other model how a steward gets them. Nobody else sees more than counts.

Does not belong here: the rows themselves (`pipelines.release.failing`), values of rows, which no page shows.
"""

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from catalog import metering
from catalog.policy import users
from catalog.policy.decision import ANONYMOUS
from catalog.web.account import signed_in
from catalog.web.reports import in_words, title_of
from catalog.web.site import Site
from pipelines.admission.reasons import of_model
from pipelines.evidence.text_book import text
from pipelines.messages import CitylakeError
from pipelines.register.receipts import Receipts
from pipelines.release.failing import failing

ACT = "failing.show"
ROWS = 50
"""Of each rule."""


def build_router(site: Site) -> APIRouter:
    """The route of failing rows; to be added before those of `quality`, which take any subject."""
    router, desk = APIRouter(), site.desk

    @router.get("/quality/failing/{model}")
    def rows(request: Request, model: str) -> Response:
        metering.asks(desk, request, ANONYMOUS, ACT, "web")
        person, snapshot, voice = signed_in(site, request), desk.listing.snapshot(), site.voice(request)
        if isinstance(person, Response):
            return person
        contract = snapshot.contracts.models.get(model)
        if contract is None:
            raise HTTPException(404)
        users.permit(desk.register, ACT, person.user.name, {"subject": model, "road": "web"})
        about = desk.listing.ledger, Receipts(desk.register, "catalogue"), desk.settings.lake
        judged, problem = None, ""
        try:
            judged = failing(snapshot.contracts, *about, model, None, ROWS)
        except CitylakeError as error:
            problem = error.text(voice.language)
        levels = {column.name: column.level for column in contract.columns}
        return site.page(
            request,
            "failing.html",
            model=model,
            title=title_of(snapshot, voice, model),
            judged=judged,
            reasons=of_model(contract, voice.language),
            problem=problem,
            key=[(name, *in_words(contract.columns, [name], voice)) for name in contract.form.key],
            told=text,
            open=max(levels[name] for name in contract.form.key) <= snapshot.contracts.shown_to_all,
            most=ROWS,
        )

    return router
