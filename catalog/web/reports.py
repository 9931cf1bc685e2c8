"""Quality reports: one department, one source, and the evidence of Great Expectations. As pages and as single files.

A single file (`?print=1`) carries its style and needs no network, so it can be kept, printed and sent. How scores come
about belongs to `pipelines.evidence.scores`.
"""

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from starlette.exceptions import HTTPException

from catalog.delivery.desk import Desk
from catalog.listing import Snapshot
from catalog.web import cards
from catalog.web import trend as trends
from catalog.web.site import HERE, Site
from catalog.web.voice import Voice
from pipelines.admission.reasons import reasons
from pipelines.contracts.load import Column, SourceContract
from pipelines.evidence import data_docs, days, scores, standing
from pipelines.evidence.standing import Standing
from pipelines.issues import Issues
from pipelines.messages import name_of, translate
from pipelines.register.receipts import Receipts
from pipelines.register.store import now

SPAN = timedelta(days=92)
"""So far back trends by the day go on pages; more is kept."""


def build_router(site: Site) -> APIRouter:
    """The routes of reports; to be added before those of `quality`, which take any subject."""
    router = APIRouter()
    desk = site.desk

    @router.get("/quality/departments")
    def departments(request: Request, day: str = "") -> Response:
        snapshot, voice = desk.listing.snapshot(), site.voice(request)
        datasets = days.owners(snapshot.contracts)
        wanted = _day(day) or days.newest_day(desk.register, datasets)
        found = days.measured(desk.register, datasets, _begins(wanted), wanted) if wanted else []
        return report_page(
            site,
            request,
            f"quality-departments-{wanted}" if wanted else "quality-departments",
            "report_departments.html",
            day=wanted,
            city_trend=days.together(found),
            departments=days.by_organisation(found),
            spark=trends.spark,
            organisation=lambda code: cards.organisation(snapshot, voice, code),
        )

    @router.get("/quality/organisations/{org}")
    def organisation(request: Request, org: str) -> Response:
        snapshot, voice = desk.listing.snapshot(), site.voice(request)
        if org not in snapshot.contracts.codes["organisations"].rows:
            raise HTTPException(404)
        mine = [source for source in snapshot.contracts.sources.values() if source.org == org]
        products = [one for one in snapshot.contracts.products.values() if one.contract.form.owner == org]
        models = [one.form for one in snapshot.contracts.models.values() if one.form.owner == org]
        owned = [(voice.named(one), one.model) for one in models]
        owned += [(voice.named(one.form), one.id) for one in products]
        kept = kept_of(desk, [name for name, owner in days.owners(snapshot.contracts).items() if owner == org])
        newest, trend = {one.dataset: one for one in kept}, days.together(kept)
        return report_page(
            site,
            request,
            f"quality-{org}",
            "report_organisation.html",
            name=cards.organisation(snapshot, voice, org),
            org=org,
            reports=[source_standing(desk, source) for source in mine],
            trend=trend,
            spark=trends.spark([one.total for one in trend]),
            owned=[(title, name, snapshot.published.get(name), newest.get(name)) for title, name in owned],
            gates=[(voice.named(one.form), one.id, _gates(desk, one.id)) for one in products],
            issues=[issue for issue in Issues(desk.register).shown() if issue["owner"] == org],
            titled=lambda subject: source_or_title(snapshot, voice, subject),
            organisation=lambda code: cards.organisation(snapshot, voice, code),
        )

    @router.get("/quality/sources/{org}/{dataset}")
    def source(request: Request, org: str, dataset: str) -> Response:
        snapshot, voice = desk.listing.snapshot(), site.voice(request)
        contract = snapshot.contracts.sources.get(f"{org}/{dataset}")
        if contract is None:
            raise HTTPException(404)
        report, kept = source_standing(desk, contract), kept_of(desk, [contract.id])
        return report_page(
            site,
            request,
            f"quality-{org}-{dataset}",
            "report_source.html",
            name=voice.named(contract.form),
            report=report,
            failing=_failing(report, voice),
            spark=trends.spark([batch.total for batch in reversed(report.batches)]),
            kept=kept,
            kept_spark=trends.spark([one.total for one in kept]),
            issues=Issues(desk.register).open(contract.id),
            organisation=lambda code: cards.organisation(snapshot, voice, code),
        )

    @router.get("/quality/sources/{org}/{dataset}/rules/{rule}")
    def failing_rule(request: Request, org: str, dataset: str, rule: str) -> Response:
        snapshot, voice = desk.listing.snapshot(), site.voice(request)
        contract = snapshot.contracts.sources.get(f"{org}/{dataset}")
        report = source_standing(desk, contract) if contract else None
        if contract is None or report is None or rule not in _rules_of(report):
            raise HTTPException(404)
        return report_page(
            site,
            request,
            f"quality-{org}-{dataset}-{rule}",
            "report_rule.html",
            name=voice.named(contract.form),
            report=report,
            rule=rule,
            columns=in_words(contract.columns, _columns_of(contract, rule), voice),
            about=next((one for one in contract.rules if one.id == rule), None),
            says=reasons(contract, voice.language).get(rule, ""),
            standing=Issues(desk.register).refused(contract.id).get(rule, 0),
            kept=[(one.day, one.open.get(rule, 0)) for one in reversed(kept_of(desk, [contract.id]))],
            issues=[one for one in Issues(desk.register).open(contract.id) if one["code"].endswith(f":{rule}")],
            organisation=lambda code: cards.organisation(snapshot, voice, code),
        )

    @router.get("/quality/evidence/{subject:path}")
    def evidence(request: Request, subject: str) -> Response:
        title, found = _evidence(site, request, subject)
        name = f"evidence-{subject.replace('/', '-')}"
        said = translate(f"data_docs.{found.agreement}", site.voice(request).language)
        about = {"subject": subject, "title": title, "found": found, "agreement": said}
        return report_page(site, request, name, "report_evidence.html", **about)

    @router.get("/quality/data-docs/{subject:path}")
    def own_page(request: Request, subject: str) -> Response:
        title, found = _evidence(site, request, subject)
        if found.evidence is None:
            raise HTTPException(404)
        language = site.voice(request).language
        headers = {"Content-Security-Policy": data_docs.POLICY, "Content-Language": language, "Vary": "Cookie"}
        text = data_docs.page(found, title, language)
        return HTMLResponse(text, headers={**headers, "Cache-Control": "private, no-cache"})

    return router


def _evidence(site: Site, request: Request, subject: str) -> tuple[str, data_docs.Kept]:
    """The name of a subject and the evidence by which it was released. Raises HTTPException for one without either."""
    snapshot = site.desk.listing.snapshot()
    title, found = title_of(snapshot, site.voice(request), subject), released_evidence(site.desk, snapshot, subject)
    if title is None or found is None:
        raise HTTPException(404)
    return title, found


def title_of(snapshot: Snapshot, voice: Voice, subject: str) -> str | None:
    """The name of a product or model in one language, None for one that no contract names."""
    contracts = snapshot.contracts
    if subject in contracts.products:
        return voice.named(contracts.products[subject].form)
    return voice.named(contracts.models[subject].form) if subject in contracts.models else None


def source_or_title(snapshot: Snapshot, voice: Voice, subject: str) -> str | None:
    """The name of what an issue is about: a source, product or model, or a step of a run. None if it has none."""
    source = snapshot.contracts.sources.get(subject)
    named = voice.named(source.form) if source else title_of(snapshot, voice, subject)
    return named or name_of(f"issue.step.{subject}", voice.language, "") or None


def source_standing(desk: Desk, source: SourceContract) -> Standing:
    """How a source stands now."""
    return standing.of_source(Receipts(desk.register, "catalogue"), desk.settings.lake, source, now())


def kept_of(desk: Desk, datasets: Sequence[str]) -> list[days.Measured]:
    """What was measured of some datasets on their last days."""
    newest = days.newest_day(desk.register, datasets)
    return days.measured(desk.register, datasets, _begins(newest), newest) if newest else []


def _begins(last: date) -> date:
    """The first day of a trend that ends on this one."""
    return last - min(SPAN, last - date.min)


def _day(text: str) -> date | None:
    """A day of a query in ISO 8601, None for anything else."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _gates(desk: Desk, product: str) -> tuple[str, list[str]] | None:
    """What the last decision about a dataset was and which hard gates closed; None where there was none."""
    for entry in desk.listing.ledger.history(product, 1):
        closed = [one["check"] for one in entry.body.get("evidence", ()) if one["status"] != "pass"]
        return entry.kind, closed
    return None


def _rules_of(report: Standing) -> set[str]:
    """The rules of a contract and those by which rows were refused that it does not have any more."""
    return {rule.id for rule in report.source.rules} | set(report.by_rule)


def _columns_of(source: SourceContract, rule: str) -> Sequence[str]:
    found = next((one.columns for one in source.rules if one.id == rule), None)
    return (rule.partition(".")[0],) if found is None else found


def in_words(columns: Sequence[Column], names: Iterable[str], voice: Voice) -> list[str]:
    """The names people know of those of a contract's columns."""
    known = {column.name: column.definition for column in columns}
    shown = [known[name] for name in names if name in known]
    return [about.businessName if voice.language == "zh" else about.businessNameEn for about in shown]


def _failing(report: Standing, voice: Voice) -> list[tuple[str, list[str], int]]:
    """Rules that refused rows which still stand: id, columns in words, rows; the worst first."""
    found = []
    for rule_id, rows in report.by_rule.items():
        names = in_words(report.source.columns, _columns_of(report.source, rule_id), voice)
        found.append((rule_id, names, int(rows)))
    return sorted(found, key=lambda item: (-item[2], item[0]))


def released_evidence(desk: Desk, snapshot: Snapshot, subject: str) -> data_docs.Kept | None:
    """The evidence on which the subject was released, as it is kept."""
    entry = snapshot.published.get(subject)
    if entry is None:
        return None
    return data_docs.kept(Receipts(desk.register, "catalogue"), subject, entry.edition, entry.body.get("proof"))


def report_page(site: Site, request: Request, file: str, template: str, **context: Any) -> Response:
    """A report as a page, or with `?print=1` as one file for download under the name `file`."""
    printed = request.query_params.get("print") == "1"
    response = site.page(
        request,
        template,
        layout="printed.html" if printed else "base.html",
        sheet=(HERE / "static" / "citylake.css").read_text("utf-8") if printed else "",
        made=now(),
        weights=scores.WEIGHTS,
        spark_size=(trends.SPARK_WIDTH, trends.SPARK_HEIGHT),
        **context,
    )
    if printed:
        response.headers["Content-Disposition"] = f'attachment; filename="{file}.html"'
    return response
