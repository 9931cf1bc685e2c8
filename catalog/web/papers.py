"""Quality reports of a month as files: PDF, XLSX and HTML. What they say belongs to `catalog.reporting`."""

import threading
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from catalog import metering
from catalog.delivery.desk import token_id
from catalog.policy import audit
from catalog.reporting import facts, forms, quality
from catalog.web.site import Site
from pipelines.lake import scratch
from pipelines.lake.parquet import sha256
from pipelines.messages import CitylakeError
from pipelines.register.store import now

ROAD = "web"


def build_router(site: Site) -> APIRouter:
    """The route of reports; to be added before those of `quality`, which take any subject."""
    router, desk = APIRouter(), site.desk
    one = threading.BoundedSemaphore(1)  # a report of the city takes a CPU second, and everybody may ask

    @router.get("/quality/report/{form}")
    def paper(request: Request, form: str, month: str = "", dataset: str = "", department: str = "") -> Response:
        caller = metering.asks(desk, request, site.caller(request), "report", ROAD)
        voice, contracts = site.voice(request), desk.listing.snapshot().contracts
        if form not in forms.MEDIA_TYPES or (dataset and department):
            raise HTTPException(404)
        month = month or voice.month(now())
        language: Any = voice.language
        try:
            scope = facts.scope_of(contracts, dataset or None, department or None)
            with (
                desk.views.folders.work.turn(one),
                scratch.folder(desk.settings.lake.scratch(), "papers") as folder,
            ):
                document = quality.report(
                    contracts, desk.register, month, dataset or None, department or None, language, url=desk.url
                )
                file = Path(folder) / f"report.{form}"
                forms.write(document, form, file)
                content, digest = file.read_bytes(), sha256(file)
        except CitylakeError as error:
            raise HTTPException(404) from error
        about = {"month": month, "dataset": dataset or None, "department": department or None}
        body = {"road": ROAD, "format": form, "sha256": digest, **about, **token_id(caller)}
        audit.record(
            desk.register, "report", "allowed", body, recipient=caller.recipient, application=caller.application
        )
        named = f'attachment; filename="{quality.file_name(month, scope)}.{form}"'
        return Response(content, media_type=forms.MEDIA_TYPES[form], headers={"Content-Disposition": named})

    return router
