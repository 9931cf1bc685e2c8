"""How the deliveries of a source stand: batches, what rules refused of them, scores. From receipts alone.

Belongs here: what is true of one source now. Does not belong here: what was true at the end of earlier days (`days`),
which refused rows are corrected by now (issues), pages and reports, which show all.
"""

from collections import Counter
from dataclasses import dataclass, replace
from datetime import datetime

from pipelines.admission.compile import ERASED_ROW
from pipelines.contracts.forms.sources import WholeTable
from pipelines.contracts.load import SourceContract
from pipelines.evidence import freshness, scores
from pipelines.lake.zones import Lake
from pipelines.register.receipts import Receipt, Receipts, Stage
from pipelines.register.times import as_utc

BATCHES = 30


@dataclass(frozen=True)
class Batch:
    """One admitted batch and its scores."""

    receipt: Receipt
    scores: list[scores.Score]
    total: float | None


@dataclass(frozen=True)
class Standing:
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
        """The batches that are measured: the last whole table, or all batches of changes shown."""
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
        """Rows refused in those batches by rule, corrected since or not; a row may fail several. Without what was
        withheld by order, which says nothing of its source."""
        found = sum((Counter(batch.receipt.body["by_rule"]) for batch in self.counted), Counter[str]())
        return Counter({rule: rows for rule, rows in found.items() if rule != ERASED_ROW})


def of_source(receipts: Receipts, lake: Lake, source: SourceContract, moment: datetime) -> Standing:
    """How one source stands at a moment that is not before its last receipt."""
    batches = [_batch(source, receipt) for receipt in _admissions(receipts, source)]
    last = freshness.last_delivery(receipts, source.id)
    late = freshness.days_late(source.form.slaProperties.frequency, as_utc(last), moment) if last else 0
    readable = lake.core(source.org, source.dataset).is_dir()
    counted = Standing(source, batches, [], None, "—", last, late)
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
