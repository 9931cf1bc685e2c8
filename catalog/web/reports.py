"""Quality reports: one department, one source, and the evidence of Great Expectations. As pages and as single files.

A single file (`?print=1`) carries its style and needs no network, so it can be kept, printed and sent. How scores come
about belongs to `pipelines.evidence.scores`.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from catalog.delivery.desk import Desk
from catalog.listing import Snapshot
from catalog.times import as_utc
from catalog.web import cards
from catalog.web.site import HERE, Site
from catalog.web.voice import Voice
from pipelines.contracts.load import SourceContract
from pipelines.contracts.models import WholeTable
from pipelines.evidence import freshness, scores
from pipelines.issues import Issues
from pipelines.register.receipts import Receipt, Receipts, Stage
from pipelines.register.store import now

BATCHES = 30
SPARK_WIDTH, SPARK_HEIGHT = 240, 48
"""The trend drawn beside its table, in pixels."""


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
        return _report(
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
        return _report(
            site,
            request,
            f"quality-{org}-{dataset}",
            "report_source.html",
            name=voice.named(contract.form),
            report=report,
            failing=_failing(report, voice),
            spark=_spark([batch.total for batch in reversed(report.batches)]),
            issues=Issues(desk.register).open(contract.id),
            organisation=lambda code: cards.organisation(snapshot, voice, code),
        )

    @router.get("/quality/evidence/{subject:path}")
    def evidence(request: Request, subject: str) -> Response:
        snapshot = desk.listing.snapshot()
        found = released_evidence(desk, snapshot, subject)
        if found is None:
            raise HTTPException(404)
        name = f"evidence-{subject.replace('/', '-')}"
        return _report(site, request, name, "report_evidence.html", subject=subject, evidence=found)

    return router


def source_report(desk: Desk, source: SourceContract) -> SourceReport:
    """The report of one source, made from receipts."""
    receipts = Receipts(desk.register, "catalogue")
    batches = [_batch(source, receipt) for receipt in receipts.of_stage(Stage.ADMIT, source.id, BATCHES)]
    last = freshness.last_delivery(receipts, source.id)
    late = freshness.days_late(source.form.slaProperties.frequency, as_utc(last), now()) if last else 0
    readable = desk.settings.lake.core(source.org, source.dataset).is_dir()
    counted = SourceReport(source, batches, [], None, "—", last, late)
    measured = scores.of_batch(source, counted.received, counted.by_rule)
    found = scores.merged(measured, scores.of_service(bool(last) and not late, readable))
    total = scores.total(found) if batches else None
    return replace(counted, scores=found, total=total, grade=scores.grade(total) if total is not None else "—")


def _batch(source: SourceContract, receipt: Receipt) -> Batch:
    found = scores.of_batch(source, receipt.body["received"], receipt.body["by_rule"])
    return Batch(receipt, found, scores.total(found))


def _failing(report: SourceReport, voice: Voice) -> list[tuple[str, str, int]]:
    """Rules that refused rows which still stand: id, columns in words, rows; the worst first."""
    by_id = {rule.id: rule for rule in report.source.rules}
    names = {column.name: column.definition for column in report.source.columns}
    found = []
    for rule_id, rows in report.by_rule.items():
        known = by_id[rule_id].columns if rule_id in by_id else (rule_id.partition(".")[0],)
        words = [_named(names[name], voice) for name in known if name in names]
        found.append((rule_id, "、".join(words) or "—", int(rows)))
    return sorted(found, key=lambda item: (-item[2], item[0]))


def _named(definition: Any, voice: Voice) -> str:
    return str(definition.businessName if voice.language == "zh" else definition.businessNameEn)


def _spark(values: Sequence[float | None]) -> str:
    """Points of a polyline: the totals over time, 0.5 at the bottom and 1 at the top; empty for fewer than two."""
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return ""
    step = SPARK_WIDTH / (len(known) - 1)
    heights = (SPARK_HEIGHT * (1 - (max(value, 0.5) - 0.5) * 2) for value in known)
    return " ".join(f"{place * step:.1f},{height:.1f}" for place, height in enumerate(heights))


def released_evidence(desk: Desk, snapshot: Snapshot, subject: str) -> dict[str, Any] | None:
    """The evidence receipt of the edition in which the subject was released, with its suite."""
    entry = snapshot.published.get(subject)
    if entry is None:
        return None
    receipts = Receipts(desk.register, "catalogue").of_stage(Stage.EVIDENCE, subject, 200)
    bodies = (receipt.body for receipt in receipts if receipt.body.get("edition") == entry.edition)
    return next((body for body in bodies if body.get("suite")), None)


def _report(site: Site, request: Request, file: str, template: str, **context: Any) -> Response:
    printed = request.query_params.get("print") == "1"
    response = site.page(
        request,
        template,
        layout="printed.html" if printed else "base.html",
        sheet=(HERE / "static" / "citylake.css").read_text("utf-8") if printed else "",
        made=now(),
        weights=scores.WEIGHTS,
        spark_size=(SPARK_WIDTH, SPARK_HEIGHT),
        **context,
    )
    if printed:
        response.headers["Content-Disposition"] = f'attachment; filename="{file}.html"'
    return response
