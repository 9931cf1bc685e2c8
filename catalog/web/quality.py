"""Pages that prove: evidence of a release, all decisions, open issues, health."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from catalog.delivery.desk import Desk
from catalog.listing import Snapshot
from catalog.web import cards, findings
from catalog.web import trend as trends
from catalog.web.reports import in_words, kept_of, released_evidence, report_page, source_or_title, title_of
from catalog.web.site import Site
from pipelines.contracts.load import Column, SourceContract
from pipelines.evidence import scores
from pipelines.issues import Issues
from pipelines.lake import delta
from pipelines.lake.errors import LakeError
from pipelines.register.receipts import Receipt, Receipts
from pipelines.register.store import now
from pipelines.release.ledger import REFUSAL, Recorded

DECISIONS = 50
ISSUES = 100
"""So many rows of a page."""


def build_router(site: Site) -> APIRouter:
    """The routes of evidence, decisions, issues and health."""
    router = APIRouter()
    _add_quality(router, site)
    _add_decisions(router, site)
    _add_health(router, site)
    return router


def _add_quality(router: APIRouter, site: Site) -> None:
    desk = site.desk

    @router.get("/quality")
    def quality_list(request: Request) -> Response:
        snapshot, voice = desk.listing.snapshot(), site.voice(request)
        measured = desk.listing.ledger.measured(snapshot.published.values())
        subjects = []
        for subject, entry in sorted(snapshot.published.items()):
            if (title := title_of(snapshot, voice, subject)) is not None:
                release = measured.get(entry.sequence)
                rolled = findings.by_dimension(findings.rules(release), True)
                subjects.append((subject, title, entry, rolled, release is not None))
        deliveries = [(voice.named(source.form), source, last) for source, last in _deliveries(desk, snapshot)]
        return site.page(
            request,
            "quality_list.html",
            subjects=subjects,
            month=voice.month(now()),
            issues=_issue_counts(desk),
            deliveries=deliveries,
            organisation=lambda code: cards.organisation(snapshot, voice, code),
        )

    @router.get("/quality/{subject:path}")
    def quality(request: Request, subject: str) -> Response:
        snapshot, voice = desk.listing.snapshot(), site.voice(request)
        title, entry = title_of(snapshot, voice, subject), snapshot.published.get(subject)
        if title is None or entry is None:
            raise HTTPException(404)
        ledger = desk.listing.ledger
        history, measured = ledger.history(subject, findings.HISTORY), ledger.measured([entry]).get(entry.sequence)
        rules = findings.rules(measured)
        dimensions = findings.by_dimension(rules, _readable(desk, subject, entry))
        total = scores.total(dimensions) if rules else None  # that it can be opened is no quality of its rows
        trend, kept = trends.over_releases(ledger, history), kept_of(desk, [subject])
        return report_page(
            site,
            request,
            f"quality-{subject.replace('/', '-')}",
            "quality.html",
            subject=subject,
            title=title,
            release=entry,
            product=subject if subject in snapshot.contracts.products else None,
            model=entry.body.get("model", subject),
            measured=measured,
            rules=_failing_first(rules),
            columns=lambda names: in_words(_columns(snapshot, entry), names, voice),
            checks=entry.body.get("evidence", []),
            suite_of=_suite_of(desk, snapshot, measured),
            own_suite=subject in snapshot.contracts.products and released_evidence(desk, snapshot, subject) is not None,
            dimensions=dimensions,
            total=total,
            grade=scores.grade(total) if total is not None else "—",
            trend=trend,
            spark=trends.spark([point.total for point in reversed(trend)]),
            kept=kept,
            kept_spark=trends.spark([one.total for one in kept]),
            refusals=[item for item in history if item.kind == REFUSAL][:10],
            issues=Issues(desk.register).open(subject),
            organisation=lambda code: cards.organisation(snapshot, voice, code),
        )


def _add_decisions(router: APIRouter, site: Site) -> None:
    desk = site.desk

    @router.get("/decisions")
    def decisions(request: Request, before: str = "") -> Response:
        start = int(before) if before.isascii() and before.isdigit() and len(before) < 10 else None
        found = desk.listing.decisions(DECISIONS + 1, start)
        return site.page(
            request,
            "decisions.html",
            decisions=found[:DECISIONS],
            older=found[DECISIONS - 1].sequence if len(found) > DECISIONS else None,
            snapshot=desk.listing.snapshot(),
        )

    @router.get("/issues")
    def issues(request: Request, owner: str = "", page: str = "") -> Response:
        snapshot, voice = desk.listing.snapshot(), site.voice(request)
        every = Issues(desk.register).shown()
        found = sorted((issue for issue in every if owner in ("", issue["owner"])), key=_gravest_first)
        pages = max(1, -(-len(found) // ISSUES))
        here = min(max(int(page), 1), pages) if page.isascii() and page.isdigit() and len(page) < 7 else 1
        return site.page(
            request,
            "issues.html",
            total=len(every),
            owners=Counter(issue["owner"] for issue in every).most_common(),
            owner=owner,
            found=len(found),
            issues=found[(here - 1) * ISSUES : here * ISSUES],
            page=here,
            pages=pages,
            titled=lambda subject: source_or_title(snapshot, voice, subject),
            organisation=lambda code: cards.organisation(snapshot, voice, code),
        )


def _add_health(router: APIRouter, site: Site) -> None:
    @router.get("/health")
    def health() -> JSONResponse:
        try:
            snapshot = site.desk.listing.snapshot()
        except sa.exc.SQLAlchemyError:
            return JSONResponse({"status": "failed", "register": "unreachable"}, 503)
        return JSONResponse(
            {
                "status": "degraded" if snapshot.broken else "ok",
                "register": "ok",
                "contracts": "broken" if snapshot.broken else "ok",
                "products": sum(1 for offering in snapshot.offerings() if offering.release),
            }
        )


def _failing_first(rules: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The rules that most values fail first, then those on which the second opinion differs, then the rest."""
    return sorted(rules, key=lambda rule: (-rule["failed"], rule.get("second_opinion") in (None, rule["failed"])))


def _gravest_first(issue: Mapping[str, Any]) -> tuple[bool, str, int]:
    """Errors before warnings, then subject by subject, most rows first."""
    return issue["severity"] != "error", issue["subject"], -issue["count"]


def _columns(snapshot: Snapshot, entry: Recorded) -> Sequence[Column]:
    """The columns that rules speak of: those of the model; none when the contracts do not know it any more."""
    contract = snapshot.contracts.models.get(entry.body.get("model", entry.subject))
    return contract.columns if contract else ()


def _suite_of(desk: Desk, snapshot: Snapshot, measured: Recorded | None) -> str | None:
    """The model whose evidence of Great Expectations is that of this release: evidence is kept of what is published."""
    if measured is None or snapshot.published.get(measured.subject) != measured:
        return None
    return measured.subject if released_evidence(desk, snapshot, measured.subject) else None


def _deliveries(desk: Desk, snapshot: Snapshot) -> list[tuple[SourceContract, Receipt | None]]:
    """Every source with the receipt of its last admitted delivery: received = accepted + refused."""
    receipts = Receipts(desk.register, "catalogue")
    sources = snapshot.contracts.sources
    last = {name: next(iter(receipts.deliveries_admitted(name, 1)), None) for name in sources}
    return [(source, last[name]) for name, source in sorted(sources.items())]


def _readable(desk: Desk, subject: str, entry: Recorded) -> bool:
    """Whether the released version can be opened now and has the rows the ledger says."""
    lake = desk.settings.lake
    location = lake.subject(subject)
    try:
        return delta.row_count(delta.open_table(location, entry.version)) == entry.body.get("rows")
    except (LakeError, OSError):
        return False


def _issue_counts(desk: Desk) -> dict[str, int]:
    counts: dict[str, int] = {}
    for issue in Issues(desk.register).shown():
        counts[issue["subject"]] = counts.get(issue["subject"], 0) + 1
    return counts
