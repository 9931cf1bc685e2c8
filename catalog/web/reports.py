"""Quality reports: one department, one source, and the evidence of Great Expectations. As pages and as single files.

A single file (`?print=1`) carries its style and needs no network, so it can be kept, printed and sent. How scores come
about belongs to `pipelines.evidence.scores`.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from catalog.delivery.desk import Desk
from catalog.listing import Snapshot
from catalog.web import cards
from catalog.web import trend as trends
from catalog.web.site import HERE, Site
from catalog.web.voice import Voice
from pipelines.contracts.load import Column, SourceContract
from pipelines.contracts.models import WholeTable
from pipelines.evidence import freshness, scores
from pipelines.issues import Issues
from pipelines.register.receipts import Receipt, Receipts, Stage
from pipelines.register.store import now
from pipelines.register.times import as_utc

BATCHES = 30


@dataclass(frozen=True)
class Batch:
    """One admitted batch and its scores."""

    receipt: Receipt
    scores: list[scores.Score]
    total: float | None


@dataclass(frozen=True)
class SourceReport:
    """What is known of the deliveries of one source, newest batch first."""

    source: SourceContract
    batches: list[Batch]
    scores: list[scores.Score]
    total: float | None
    grade: str
    last: datetime | None
    late: int

    @property
    def counted(self) -> list[Batch]:
        """The batches whose refused rows still stand: the last whole table, or all batches of changes shown."""
        return self.batches[:1] if isinstance(self.source.form.load, WholeTable) else self.batches

    @property
    def received(self) -> int:
        """Rows received in those batches."""
        return sum(int(batch.receipt.body["received"]) for batch in self.counted)

    @property
    def refused(self) -> int:
        """Rows refused in those batches."""
        return sum(int(batch.receipt.body["refused"]) for batch in self.counted)

    @property
    def by_rule(self) -> Counter[str]:
        """Rows refused in those batches by rule; a row may fail several."""
        return sum((Counter(batch.receipt.body["by_rule"]) for batch in self.counted), Counter[str]())


def build_router(site: Site) -> APIRouter:
    """The routes of reports; to be added before those of `quality`, which take any subject."""
    router = APIRouter()
    desk = site.desk

    @router.get("/quality/organisations/{org}")
    def organisation(request: Request, org: str) -> Response:
        snapshot, voice = desk.listing.snapshot(), site.voice(request)
        if org not in snapshot.contracts.codes["organisations"].rows:
            raise HTTPException(404)
        mine = [source for source in snapshot.contracts.sources.values() if source.org == org]
        products = [one for one in snapshot.contracts.products.values() if one.contract.form.owner == org]
        return report_page(
            site,
            request,
            f"quality-{org}",
            "report_organisation.html",
            name=cards.organisation(snapshot, voice, org),
            reports=[source_report(desk, source) for source in mine],
            products=[(voice.named(one.form), one.id, snapshot.published.get(one.id)) for one in products],
            issues=[issue for issue in Issues(desk.register).open() if issue["owner"] == org],
            organisation=lambda code: cards.organisation(snapshot, voice, code),
        )

    @router.get("/quality/sources/{org}/{dataset}")
    def source(request: Request, org: str, dataset: str) -> Response:
        snapshot, voice = desk.listing.snapshot(), site.voice(request)
        contract = snapshot.contracts.sources.get(f"{org}/{dataset}")
        if contract is None:
            raise HTTPException(404)
        report = source_report(desk, contract)
        return report_page(
            site,
            request,
            f"quality-{org}-{dataset}",
            "report_source.html",
            name=voice.named(contract.form),
            report=report,
            failing=_failing(report, voice),
            spark=trends.spark([batch.total for batch in reversed(report.batches)]),
            issues=Issues(desk.register).open(contract.id),
            organisation=lambda code: cards.organisation(snapshot, voice, code),
        )

    @router.get("/quality/evidence/{subject:path}")
    def evidence(request: Request, subject: str) -> Response:
        snapshot, voice = desk.listing.snapshot(), site.voice(request)
        title, found = title_of(snapshot, voice, subject), released_evidence(desk, snapshot, subject)
        if title is None or found is None:
            raise HTTPException(404)
        name = f"evidence-{subject.replace('/', '-')}"
        return report_page(site, request, name, "report_evidence.html", subject=subject, title=title, evidence=found)

    return router


def title_of(snapshot: Snapshot, voice: Voice, subject: str) -> str | None:
    """The name of a product or model in one language, None for one that no contract names."""
    contracts = snapshot.contracts
    if subject in contracts.products:
        return voice.named(contracts.products[subject].form)
    return voice.named(contracts.models[subject].form) if subject in contracts.models else None


def source_report(desk: Desk, source: SourceContract) -> SourceReport:
    """The report of one source, made from receipts."""
    receipts = Receipts(desk.register, "catalogue")
    batches = [_batch(source, receipt) for receipt in _admissions(receipts, source)]
    last = freshness.last_delivery(receipts, source.id)
    late = freshness.days_late(source.form.slaProperties.frequency, as_utc(last), now()) if last else 0
    readable = desk.settings.lake.core(source.org, source.dataset).is_dir()
    counted = SourceReport(source, batches, [], None, "—", last, late)
    measured = scores.of_batch(source, counted.received, counted.by_rule)
    found = scores.merged(measured, scores.of_service(bool(last) and not late, readable))
    total = scores.total(found) if batches else None
    return replace(counted, scores=found, total=total, grade=scores.grade(total) if total is not None else "—")


def _admissions(receipts: Receipts, source: SourceContract) -> list[Receipt]:
    """The last batches, newest first; of a whole table without rows that came back, which are no table."""
    if isinstance(source.form.load, WholeTable):
        return receipts.deliveries_admitted(source.id, BATCHES)
    return receipts.of_stage(Stage.ADMIT, source.id, BATCHES)


def _batch(source: SourceContract, receipt: Receipt) -> Batch:
    found = scores.of_batch(source, receipt.body["received"], receipt.body["by_rule"])
    return Batch(receipt, found, scores.total(found))


def in_words(columns: Sequence[Column], names: Iterable[str], voice: Voice) -> list[str]:
    """The names people know of those of a contract's columns."""
    known = {column.name: column.definition for column in columns}
    shown = [known[name] for name in names if name in known]
    return [about.businessName if voice.language == "zh" else about.businessNameEn for about in shown]


def _failing(report: SourceReport, voice: Voice) -> list[tuple[str, list[str], int]]:
    """Rules that refused rows which still stand: id, columns in words, rows; the worst first."""
    by_id = {rule.id: rule for rule in report.source.rules}
    found = []
    for rule_id, rows in report.by_rule.items():
        names = by_id[rule_id].columns if rule_id in by_id else (rule_id.partition(".")[0],)
        found.append((rule_id, in_words(report.source.columns, names, voice), int(rows)))
    return sorted(found, key=lambda item: (-item[2], item[0]))


def released_evidence(desk: Desk, snapshot: Snapshot, subject: str) -> dict[str, Any] | None:
    """The evidence receipt of the edition in which the subject was released, with its suite."""
    entry = snapshot.published.get(subject)
    if entry is None:
        return None
    receipts = Receipts(desk.register, "catalogue").of_edition(Stage.EVIDENCE, subject, entry.edition)
    return next((receipt.body for receipt in receipts if receipt.body.get("suite")), None)


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
