"""The quality report of a dataset, a department or the city in one month, as a document. What it says is in `facts`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo

from catalog.reporting.facts import Facts, Scope, gather, period_of, scope_of
from pipelines.admission.reasons import of_model, reasons
from pipelines.contracts.load import Contracts
from pipelines.documents.model import (
    Bars,
    Cell,
    Chart,
    Column,
    Document,
    Link,
    Paragraph,
    Section,
    Share,
    Table,
    Words,
)
from pipelines.evidence import scores as six
from pipelines.evidence.days import once
from pipelines.issues import public_text
from pipelines.messages import translate
from pipelines.register import Register
from pipelines.register.times import as_utc
from pipelines.release.ledger import REFUSAL, RELEASE, WITHDRAWAL, Recorded

Language = Literal["zh", "en"]
DEFECTS, ISSUES = 25, 15


def report(
    contracts: Contracts,
    register: Register,
    month: str,
    dataset: str | None = None,
    organisation: str | None = None,
    language: Language = "zh",
    *,
    url: str,
) -> Document:
    """The report of a month like 2026-11. `url`: of the portal, whose pages show the evidence. Raises CitylakeError for
    an unknown dataset, department or month."""
    scope = scope_of(contracts, dataset, organisation)
    facts = gather(contracts, register, scope, period_of(month, ZoneInfo(contracts.city.timezone)))
    return _Report(contracts, facts, language, url).document()


def file_name(month: str, scope: Scope) -> str:
    """The name of the file of a report, without its ending."""
    about = "city" if scope.name is None else scope.name.replace("/", "-")
    return f"quality-{about}-{month}"


class _Report:
    def __init__(self, contracts: Contracts, facts: Facts, language: Language, url: str) -> None:
        self.contracts, self.facts, self.language, self.url = contracts, facts, language, url
        self.zone = facts.period.zone

    def document(self) -> Document:
        facts, t = self.facts, self.t
        sections = [self.scores(), self.trend()]
        if facts.scope.kind == "city":
            sections.append(self.departments())
        if facts.scope.kind in ("city", "department"):
            sections.append(self.datasets())
        sections.append(self.defects())
        if facts.scope.sources:
            sections += [self.deliveries(), self.late()]
        sections.append(self.issues())
        if facts.scope.subjects:
            sections += [self.decisions(), self.evidence()]
        sections.append(self.glossary())
        return Document(
            self.language,
            t("title", name=self.name()),
            t("subtitle", first=facts.period.first, last=facts.period.last),
            self.front(),
            self.running(),
            facts.at,
            sections,
            Words(page=t("page", page="{page}", pages="{pages}"), missing=t("missing", characters="{characters}")),
        )

    def t(self, code: str, **arguments: object) -> str:
        return translate(f"report.{code}", self.language, **arguments)

    def named(self, form: object) -> str:
        return str(getattr(form, "name" if self.language == "zh" else "nameEn"))

    def name(self) -> str:
        scope = self.facts.scope
        if scope.name is None:
            return self.named(self.contracts.city)
        if scope.kind == "department":
            return self.organisation(scope.name)
        return self.dataset(scope.name)

    def dataset(self, name: str) -> str:
        contracts = self.contracts
        if name in contracts.sources:
            return self.named(contracts.sources[name].form)
        if name in contracts.products:
            return self.named(contracts.products[name].form)
        return self.named(contracts.models[name].form) if name in contracts.models else name

    def organisation(self, code: str) -> str:
        row = self.contracts.codes["organisations"].rows.get(code, {})
        return row.get("name" if self.language == "zh" else "name_en") or row.get("name") or code

    def when(self, moment: datetime) -> str:
        return as_utc(moment).astimezone(self.zone).strftime("%Y-%m-%d %H:%M")

    def running(self) -> str:
        head = self.facts.head
        if head is None:
            return self.t("no_head")
        return self.t("head", number=head.sequence, last=head.last, hash=head.says["chain"])

    def front(self) -> list[tuple[str, str]]:
        facts = self.facts
        owner = facts.scope.name or ""
        if facts.scope.kind == "source":
            owner = self.contracts.sources[owner].org
        elif facts.scope.kind == "subject":
            product = self.contracts.products.get(owner)
            owner = (product.contract if product else self.contracts.models[owner]).form.owner
        elif facts.scope.kind == "city":
            owner = self.contracts.city.operator
        found = [
            (self.t("about"), self.name() + (f" ({facts.scope.name})" if facts.scope.name else "")),
            (self.t("owner"), self.organisation(owner)),
            (self.t("period"), f"{facts.period.first} — {facts.period.last}"),
            (self.t("known"), self.when(facts.at)),
        ]
        measured = self.measured()
        total = six.total(measured)
        said = self.t("unmeasured_total") if total is None else f"{Share(total).text} · {six.grade(total)}"
        return [*found, (self.t("total"), said)]

    def measured(self) -> Sequence[six.Score]:
        return self.facts.together.scores if self.facts.together else []

    def scores(self) -> Section:
        measured = self.measured()
        bars = Bars(
            self.t("scores_caption"),
            [(self.dimension(one.dimension), one.passed, self.ratio(one)) for one in measured],
        )
        rows: list[list[Cell]] = [
            [
                self.dimension(one.dimension),
                one.rules,
                one.satisfied,
                one.evaluated,
                None if one.passed is None else Share(one.passed),
                Share(six.WEIGHTS[one.dimension]),
            ]
            for one in measured
        ]
        columns = (
            Column(self.t("dimension"), 1.4),
            Column(self.t("rules"), 0.8, True),
            Column("A", 1.4, True),
            Column("B", 1.4, True),
            Column("X = A / B", 1.2, True),
            Column(self.t("weight"), 0.9, True),
        )
        table = Table(self.t("ratio_caption"), columns, rows, self.t("unmeasured_total"))
        lacking = [self.dimension(one.dimension) for one in measured if one.passed is None]
        notes = [Paragraph(self.t("formula")), Paragraph(self.t("total_formula"), "note")]
        if lacking:
            notes.append(Paragraph(self.t("lacking", dimensions=self.t("comma").join(lacking)), "note"))
        return Section(self.t("scores"), [*([bars] if measured else []), table, *notes])

    def dimension(self, name: str) -> str:
        return translate(f"report.dimension.{six.DIMENSIONS.index(name) + 1}", self.language)

    def ratio(self, one: six.Score) -> str:
        if one.passed is None:
            return self.t("not_measured")
        return f"{Share(one.passed).text}   {one.satisfied:,} / {one.evaluated:,}"

    def trend(self) -> Section:
        points = [(day.isoformat(), total) for day, total in self.facts.trend]
        if not points:
            return Section(self.t("trend"), [Paragraph(self.t("no_trend"))])
        return Section(self.t("trend"), [Chart(self.t("trend_days", count=len(points)), points)])

    def departments(self) -> Section:
        rows: list[list[Cell]] = []
        for org, one in self.facts.departments.items():
            total = one.total
            rows.append(
                [
                    self.organisation(org),
                    one.datasets,
                    None if total is None else Share(total),
                    "—" if total is None else six.grade(total),
                    one.received,
                    one.refused,
                ]
            )
        columns = (
            Column(self.t("department"), 2.4),
            Column(self.t("sources"), 0.8, True),
            Column(self.t("total"), 1, True),
            Column(self.t("grade"), 0.7),
            Column(self.t("received"), 1.1, True),
            Column(self.t("refused"), 1, True),
        )
        rows.sort(key=lambda row: (row[2].part if isinstance(row[2], Share) else 2.0, str(row[0])))
        return Section(self.t("by_department"), [Table(self.t("lowest_first"), columns, rows, self.t("none"))])

    def datasets(self) -> Section:
        rows: list[list[Cell]] = []
        for one in self.facts.measured:
            passed = [None if score.passed is None else Share(score.passed) for score in one.scores]
            rows.append(
                [
                    f"{self.dataset(one.dataset)}\n{one.dataset}",
                    *passed,
                    None if one.total is None else Share(one.total),
                ]
            )
        rows.sort(key=lambda row: (row[-1].part if isinstance(row[-1], Share) else 2.0, str(row[0])))
        columns = (
            Column(self.t("dataset"), 2.6),
            *(Column(self.dimension(name), 1, True) for name in six.DIMENSIONS),
            Column(self.t("total"), 1, True),
        )
        return Section(self.t("by_dataset"), [Table(self.t("lowest_first"), columns, rows, self.t("none"))])

    def defects(self) -> Section:
        measured = once(self.facts.measured)
        found = [(rows, one.dataset, rule) for one in measured for rule, rows in one.open.items()]
        found.sort(key=lambda item: (-item[0], item[1], item[2]))
        rows: list[list[Cell]] = [
            [f"{self.dataset(name)}\n{name}", rule, self.reason(name, rule), self.owner(name), count]
            for count, name, rule in found[:DEFECTS]
        ]
        columns = (
            Column(self.t("dataset"), 2),
            Column(self.t("rule"), 2),
            Column(self.t("reason"), 3),
            Column(self.t("owner"), 1.4),
            Column(self.t("rows"), 0.9, True),
        )
        caption = self.t("defects_caption", shown=len(rows), all=len(found))
        notes = [Paragraph(self.t("where_rows"), "note")] if rows else []
        return Section(self.t("defects"), [Table(caption, columns, rows, self.t("no_defects")), *notes])

    def reason(self, name: str, rule: str) -> str:
        source, product = self.contracts.sources.get(name), self.contracts.products.get(name)
        if source is not None:
            return reasons(source, self.language).get(rule, "—")
        model = product.contract if product else self.contracts.models[name]
        return of_model(model, self.language).get(rule, "—")

    def owner(self, name: str) -> str:
        if name in self.contracts.sources:
            return self.organisation(self.contracts.sources[name].org)
        product = self.contracts.products.get(name)
        return self.organisation((product.contract if product else self.contracts.models[name]).form.owner)

    def deliveries(self) -> Section:
        rows: list[list[Cell]] = [
            [f"{self.dataset(name)}\n{name}", one.batches, one.received, one.accepted, one.refused, one.held, one.back]
            for name, one in sorted(self.facts.arrived.items())
        ]
        columns = (
            Column(self.t("dataset"), 2.4),
            *(Column(self.t(code), 1, True) for code in ("batches", "received", "accepted", "refused", "held", "back")),
        )
        if len(rows) > 1:
            sums = [sum(int(str(row[place])) for row in rows) for place in range(1, 7)]
            rows.append([self.t("sum"), *sums])
        return Section(
            self.t("deliveries"), [Table(self.t("deliveries_caption"), columns, rows, self.t("no_deliveries"))]
        )

    def late(self) -> Section:
        rows: list[list[Cell]] = []
        for name, (late, measured) in sorted(self.facts.late.items(), key=lambda item: (-item[1][0], item[0])):
            if late:
                cycle = self.contracts.sources[name].form.slaProperties.frequency
                rows.append([f"{self.dataset(name)}\n{name}", self.cycle(cycle), late, measured, self.owner(name)])
        columns = (
            Column(self.t("dataset"), 2.6),
            Column(self.t("cycle"), 1),
            Column(self.t("late_days"), 1, True),
            Column(self.t("measured_days"), 1, True),
            Column(self.t("owner"), 1.6),
        )
        return Section(self.t("late"), [Table(self.t("late_caption"), columns, rows, self.t("none_late"))])

    def cycle(self, name: str) -> str:
        return name if self.language == "zh" else translate(f"report.cycle.{CYCLES.index(name) + 1}", "en")

    def issues(self) -> Section:
        counts = self.facts.issues
        summary = Table(
            self.t("issues_caption"),
            tuple(Column(self.t(code), 1, True) for code in ("opened", "closed", "open", "overdue")),
            [[counts.opened, counts.closed, counts.open, counts.overdue]],
        )
        rows: list[list[Cell]] = [
            [
                row["id"] if isinstance(row["id"], int) else None,
                f"{self.dataset(row['subject'])}\n{row['subject']}",
                "\n".join(filter(None, public_text(row, self.language))),
                self.organisation(row["owner"]),
                row["count"],
                as_utc(row["first_seen"]).astimezone(self.zone).date(),
            ]
            for row in counts.listed[:ISSUES]
        ]
        columns = (
            Column(self.t("number"), 0.7, True),
            Column(self.t("dataset"), 2),
            Column(self.t("problem"), 3.4),
            Column(self.t("owner"), 1.3),
            Column(self.t("count"), 0.8, True),
            Column(self.t("since"), 1.1),
        )
        caption = self.t("open_caption", shown=len(rows), all=counts.open)
        return Section(self.t("issues"), [summary, Table(caption, columns, rows, self.t("no_issues"))])

    def decisions(self) -> Section:
        by_subject: dict[str, list[Recorded]] = {}
        for one in self.facts.decisions:
            by_subject.setdefault(one.subject, []).append(one)
        rows: list[list[Cell]] = []
        for subject, mine in sorted(by_subject.items()):
            kinds = [one.kind for one in mine]
            last = mine[-1]
            rows.append(
                [
                    f"{self.dataset(subject)}\n{subject}",
                    *(kinds.count(kind) for kind in (RELEASE, REFUSAL, WITHDRAWAL)),
                    last.version,
                    last.sequence,
                    last.hash,
                ]
            )
        columns = (
            Column(self.t("dataset"), 2.6),
            *(
                Column(self.t(code), 0.65, True)
                for code in ("released", "refusals", "withdrawn", "version", "sequence")
            ),
            Column(self.t("hash"), 2.8),
        )
        return Section(self.t("decisions"), [Table(self.t("decisions_caption"), columns, rows, self.t("no_decisions"))])

    def evidence(self) -> Section:
        """Of every subject the evidence of its last release in the period; of one without, of that which stood."""
        last = {one.subject: one for one in self.facts.decisions if one.kind == RELEASE}
        if self.facts.release is not None:
            last.setdefault(self.facts.release.subject, self.facts.release)
        rows: list[list[Cell]] = [
            [
                f"{self.dataset(subject)}\n{subject}",
                one.version,
                Link(f"citylake evidence docs {subject}", f"{self.url}/quality/evidence/{subject}"),
                one.body["proof"],
            ]
            for subject, one in sorted(last.items())
            if "proof" in one.body
        ]
        columns = (
            Column(self.t("dataset"), 2),
            Column(self.t("version"), 0.65, True),
            Column(self.t("evidence_page"), 2.6),
            Column(self.t("proof"), 2.8),
        )
        return Section(self.t("evidence"), [Table(self.t("evidence_caption"), columns, rows, self.t("no_evidence"))])

    def glossary(self) -> Section:
        return Section(self.t("glossary"), [Paragraph(self.t(f"glossary.{place}")) for place in range(1, 9)])


CYCLES = ("实时", "每日", "每周", "每月", "每季度", "每半年", "每年", "不定期")
