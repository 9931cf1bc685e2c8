"""The catalogue service put together: roads, error answers, headers. Nothing happens at import."""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from catalog import oauth
from catalog.access import refusals
from catalog.access import router as access
from catalog.bodies import BodyLimit
from catalog.delivery.desk import Desk, Refused
from catalog.delivery.marts import Outdated
from catalog.delivery.ranges import NotSatisfiable
from catalog.delivery.rows import problems
from catalog.delivery.rows import router as rows
from catalog.delivery.sharing import errors
from catalog.delivery.sharing import router as sharing
from catalog.delivery.verification import router as verification
from catalog.delivery.work import Busy
from catalog.delivery.workbooks import DoesNotFit
from catalog.headers import SecurityHeaders
from catalog.metering import Metering, moment_after
from catalog.policy.audit import AuditUnavailable
from catalog.policy.decision import MARTS, Reason
from catalog.policy.users import NotAllowed
from catalog.web import (
    account,
    api_docs,
    audits,
    failing,
    indicators,
    marts,
    pages,
    papers,
    people,
    provider,
    quality,
    reads,
    reports,
)
from catalog.web.site import HERE, ForeignForm, Site
from pipelines import synthetic
from pipelines.documents.subset import FONT
from pipelines.lake.errors import LakeError
from pipelines.messages import say, translate
from pipelines.register import Register
from pipelines.settings import Settings

log = logging.getLogger(__name__)


def create_app(settings: Settings) -> FastAPI:
    """The catalogue of one installation. The register must exist; secrets are made on first use.

    Raises CitylakeError if the contracts cannot be read, and for a provider whose secret is not there.
    """
    desk = Desk(settings, Register(settings.register_url), serving=True)
    desk.clean()
    site = Site(desk)
    app = FastAPI(
        title="citylake",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        lifespan=_settled(desk),
    )
    app.state.desk = desk
    app.add_middleware(BodyLimit, refuse=lambda request: _http_answer(site, request, 413))
    app.add_middleware(Metering, desk=desk)
    app.add_middleware(SecurityHeaders, also={synthetic.HEADER: "true"} if desk.said else {})
    app.include_router(rows.build_router(desk))  # the first that is looked at: its answers are the shortest
    app.include_router(sharing.build_router(desk))
    app.include_router(verification.build_router(desk))
    app.include_router(oauth.build_router(desk))
    app.include_router(access.build_router(site))
    areas = (
        pages,
        indicators,
        papers,
        reports,
        failing,
        quality,
        marts,
        people,
        account,
        provider,
        audits,
        reads,
        api_docs,
    )
    for area in areas:
        app.include_router(area.build_router(site))
    app.mount("/static", StaticFiles(directory=HERE / "static"))
    app.mount("/fonts", Kept(directory=FONT.parent))
    _add_errors(app, site, desk)
    return app


class Kept(StaticFiles):
    """Files that browsers keep for a week without asking: megabytes that change with a version at most."""

    def file_response(self, *arguments: Any, **named: Any) -> Response:
        """The file, or that it has not changed."""
        response = super().file_response(*arguments, **named)
        response.headers["Cache-Control"] = "public, max-age=604800"
        return response


def _settled(desk: Desk) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    """What callers had is written down before the service stops."""

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        yield
        await run_in_threadpool(desk.quotas.write_all)

    return life


def _add_errors(app: FastAPI, site: Site, desk: Desk) -> None:
    @app.exception_handler(Refused)
    def refused(request: Request, error: Refused) -> Response:
        status = errors.status_of(error.reason)
        opens = None if error.wait is None else moment_after(desk, error.wait)
        if _machine(request):
            return _denied(request, status, error, opens)
        if status == 404:
            return site.page(request, "error.html", 404, code="not_found")
        back = "/marts" if error.product == MARTS else f"/datasets/{error.product}" if error.product else None
        page = site.page(request, "denied.html", status, reason=error.reason.value, back=back, opens=opens)
        return page if error.wait is None else _with_wait(page, error.wait)

    @app.exception_handler(NotAllowed)
    def not_allowed(request: Request, error: NotAllowed) -> Response:
        if _machine(request):
            return _machine_answer(request, 403, error.code, **error.arguments)
        problem = error.text(site.voice(request).language)
        return site.page(request, "not_allowed.html", 403, problem=problem)

    @app.exception_handler(ForeignForm)
    def foreign(request: Request, error: ForeignForm) -> Response:
        return site.page(request, "error.html", 403, code="foreign_form")

    @app.exception_handler(oauth.BadRequest)
    def bad_exchange(request: Request, error: oauth.BadRequest) -> Response:
        return error.answer()

    @app.exception_handler(problems.Problem)
    def problem(request: Request, error: problems.Problem) -> Response:
        return error.answer()

    @app.exception_handler(refusals.Refusal)
    def not_done(request: Request, error: refusals.Refusal) -> Response:
        return error.answer()

    @app.exception_handler(errors.BadRequest)
    def bad_request(request: Request, error: errors.BadRequest) -> Response:
        return errors.answer(400, error.code, **error.arguments)

    @app.exception_handler(DoesNotFit)
    def does_not_fit(request: Request, error: DoesNotFit) -> Response:
        if _machine(request):
            return _machine_answer(request, 413, error.code, **error.arguments)
        product = "{channel}/{name}".format(**request.path_params)
        said = {"code": error.code, "arguments": error.arguments}
        return site.page(request, "does_not_fit.html", 413, product=product, said=said)

    @app.exception_handler(NotSatisfiable)
    def no_such_part(request: Request, error: NotSatisfiable) -> Response:
        answer = _http_answer(site, request, 416)
        answer.headers["Content-Range"] = f"bytes */{error.size}"
        return answer

    @app.exception_handler(HTTPException)
    def http_error(request: Request, error: HTTPException) -> Response:
        return _http_answer(site, request, error.status_code)

    @app.exception_handler(AuditUnavailable)
    def no_audit(request: Request, error: AuditUnavailable) -> Response:
        return _failed(request, "no_audit")

    @app.exception_handler(LakeError)
    def no_data(request: Request, error: LakeError) -> Response:
        log.error("released data cannot be read: %s", error)
        return _failed(request, "no_data")

    @app.exception_handler(Outdated)
    def outdated(request: Request, error: Outdated) -> Response:
        return _failed(request, "marts_outdated")

    @app.exception_handler(Busy)
    def busy(request: Request, error: Busy) -> Response:
        return _with_wait(_failed(request, "busy"), error.wait)

    @app.exception_handler(SQLAlchemyError)
    def no_register(request: Request, error: SQLAlchemyError) -> Response:
        log.error("register cannot be read: %s", type(error).__name__)
        return _machine_answer(request, 503, "web.error.no_register")  # no page: pages read the register too

    def _failed(request: Request, code: str) -> Response:
        if _machine(request):
            return _machine_answer(request, 503, f"web.error.{code}")
        return site.page(request, "error.html", 503, code=code)

    @app.exception_handler(Exception)
    def failed(request: Request, error: Exception) -> JSONResponse:
        return _machine_answer(request, 500, "web.error.failed")  # no page: what draws pages may be what failed


def _http_answer(site: Site, request: Request, status: int) -> Response:
    code = {404: "not_found", 405: "method", 413: "too_large", 416: "no_such_part"}.get(status, "bad_request")
    if _machine(request):
        return _machine_answer(request, status, f"web.error.{code}")
    return site.page(request, "error.html", status, code=code)


def _denied(request: Request, status: int, error: Refused, opens: str | None) -> Response:
    """A denial for a program. `opens`: the moment it opens, if it does by itself."""
    code, more = f"web.reason.{error.reason.value}", [] if opens is None else [opens]
    text = "\n".join(
        " ".join([translate(code, language), *(translate("web.limit.opens", language, moment=one) for one in more)])
        for language in ("zh", "en")
    )
    if _is_oauth(request):
        answer = oauth.denied(error.reason, text)
    elif (area := _area(request)) is not None:
        answer = problems.answer(status, error.reason.value, text, area=area)
    else:
        answer = errors.told(status, text)
    if status == 401 and error.reason is not Reason.TOKEN_REQUIRED and not _is_oauth(request):
        answer.headers["WWW-Authenticate"] = 'Bearer error="invalid_token"'  # RFC 6750, 3.1
    return answer if error.wait is None else _with_wait(answer, error.wait)


def _with_wait(answer: Response, seconds: int) -> Response:
    answer.headers["Retry-After"] = str(seconds)
    return answer


def _machine_answer(request: Request, status: int, code: str, **arguments: object) -> JSONResponse:
    """An error for a program, in the form of the protocol it speaks."""
    if _is_oauth(request):
        return oauth.told(status, say(code, **arguments))
    if (area := _area(request)) is not None:
        return problems.answer(status, code.rpartition(".")[2], say(code, **arguments), area=area)
    return errors.answer(status, code, **arguments)


def _area(request: Request) -> str | None:
    """The area of messages of an API whose errors are problem documents, None elsewhere."""
    apis = {rows.PREFIX: "rows", access.PREFIX: refusals.AREA}
    return next((area for prefix, area in apis.items() if request.url.path.startswith(f"{prefix}/")), None)


def _is_oauth(request: Request) -> bool:
    return request.url.path.startswith(oauth.PREFIX)


def _machine(request: Request) -> bool:
    """Whether a client wants JSON rather than a page: the protocols, and whatever does not ask for HTML."""
    protocols = (sharing.PREFIX, verification.PREFIX, rows.PREFIX, access.PREFIX)
    paths = (*(f"{prefix}/" for prefix in protocols), oauth.PREFIX)
    return request.url.path.startswith(paths) or "text/html" not in request.headers.get("accept", "")
