"""What a quality report of a period is made from, read once: scores by day, deliveries, decisions, issues.

Nothing here is computed anew: days were kept (`pipelines.evidence.days`), the rest are receipts, ledger and issues. No
value of a row and no person is in any of it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from pipelines.contracts.load import Contracts
from pipelines.evidence import days
from pipelines.evidence.days import Measured, Together
from pipelines.issues import GUARDED, feedback
from pipelines.messages import CitylakeError
from pipelines.register import Register, heads
from pipelines.register.heads import Head
from pipelines.register.receipts import REPLAY, RETURNED, Receipts, Stage
from pipelines.register.tables import issue as issues
from pipelines.register.tables import ledger as ledger_table
from pipelines.register.tables import receipt as receipts_table
from pipelines.register.times import as_utc
from pipelines.release.ledger import RELEASE, Ledger, Recorded

MONTH = re.compile(r"(2[01][0-9]{2})-(0[1-9]|1[0-2])", re.ASCII)
TREND = timedelta(days=92)
"""So many days before the end of the period are drawn."""
OURS = (REPLAY, RETURNED)


@dataclass(frozen=True)
class Scope:
    """What a report is about: the whole city, one department, one source, or one released subject (model or product).

    `name`: None for the city. `sources`, `subjects`: what is counted.
    """

    kind: str
    name: str | None
    sources: Sequence[str]
    subjects: Sequence[str]


@dataclass(frozen=True)
class Period:
    """A month of the city. `first` and `last` are its days; `start` (UTC) belongs to it, `end` does not."""

    month: str
    first: date
    last: date
    start: datetime
    end: datetime
    zone: ZoneInfo


@dataclass
class Arrived:
    """What came from one source in the period: batches and rows. `held` are batches that a guard stopped; `back` the
    rows accepted of those that came back or were judged again."""

    batches: int = 0
    received: int = 0
    accepted: int = 0
    refused: int = 0
    held: int = 0
    back: int = 0


@dataclass(frozen=True)
class IssueCounts:
    """Issues of the scope. `opened` and `closed` in the period; `overdue`: open and past the day of their deadline."""

    opened: int
    closed: int
    open: int
    overdue: int
    listed: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Facts:
    """Everything a report says. `at` (UTC): up to when it is known, the same for the same state; `measured`: every
    dataset on its last measured day of the period; `release`: of a subject the one that its last release was measured
    on."""

    scope: Scope
    period: Period
    at: datetime
    head: Head | None
    measured: Sequence[Measured]
    together: Together | None
    trend: Sequence[tuple[date, float | None]]
    departments: Mapping[str, Together]
    late: Mapping[str, tuple[int, int]]
    arrived: Mapping[str, Arrived]
    decisions: Sequence[Recorded]
    issues: IssueCounts
    release: Recorded | None = None


def scope_of(contracts: Contracts, dataset: str | None = None, organisation: str | None = None) -> Scope:
    """What a report of a dataset, a department or neither is about. Raises CitylakeError for what no contract names."""
    subjects = {name: owner for name, owner in days.owners(contracts).items() if name not in contracts.sources}
    if dataset is not None:
        if dataset in contracts.sources:
            return Scope("source", dataset, [dataset], [])
        if dataset in subjects:
            return Scope("subject", dataset, [], [dataset])
        raise CitylakeError("report.unknown_dataset", dataset=dataset)
    if organisation is None:
        return Scope("city", None, sorted(contracts.sources), sorted(subjects))
    if organisation not in contracts.codes["organisations"].rows:
        raise CitylakeError("report.unknown_department", department=organisation)
    mine = sorted(name for name, one in contracts.sources.items() if one.org == organisation)
    return Scope(
        "department", organisation, mine, sorted(name for name, owner in subjects.items() if owner == organisation)
    )


def period_of(month: str, zone: ZoneInfo) -> Period:
    """A month like 2026-11. Raises CitylakeError for anything else."""
    found = MONTH.fullmatch(month)
    if found is None:
        raise CitylakeError("report.bad_month", month=month[:20])
    first = date(int(found[1]), int(found[2]), 1)
    following = (first + timedelta(days=32)).replace(day=1)
    start, end = (datetime.combine(day, time(), zone).astimezone(UTC) for day in (first, following))
    return Period(month, first, following - timedelta(days=1), start, end, zone)


def gather(contracts: Contracts, register: Register, scope: Scope, period: Period) -> Facts:
    """Read everything that a report of this scope and period says."""
    ledger, receipts = Ledger(register), Receipts(register, "report")
    begins = max(period.last - TREND, date(2000, 1, 1))
    known = days.measured(register, [*scope.sources, *scope.subjects], begins, period.last)
    within = [one for one in known if one.day >= period.first]
    newest = {one.dataset: one for one in within}  # in order of days: the last one stays
    mine = [one for one in ledger.between(period.start, period.end) if one.subject in set(scope.subjects)]
    at = min(period.end, _newest(register))
    return Facts(
        scope,
        period,
        at,
        _head(register, period),
        list(newest.values()),
        _sum(period.last, list(newest.values())),
        [(one.day, one.total) for one in days.together(known)],
        {org: one for org in _organisations(newest) if (one := _sum(period.last, _of(newest, org))) is not None},
        _late(within),
        _arrived(receipts, scope, period),
        mine,
        _issues(contracts, register, scope, period, at),
        _release(ledger, scope.subjects[0], period) if scope.kind == "subject" else None,
    )


def _sum(day: date, found: Sequence[Measured]) -> Together | None:
    """The sums of datasets on their last days, which need not be the same day."""
    if not found:
        return None
    (one,) = days.together([Measured(**{**vars(each), "day": day}) for each in found])
    return one


def _organisations(found: Mapping[str, Measured]) -> list[str]:
    return sorted({one.organisation for one in found.values()})


def _of(found: Mapping[str, Measured], organisation: str) -> list[Measured]:
    return [one for one in found.values() if one.organisation == organisation]


def _late(found: Sequence[Measured]) -> dict[str, tuple[int, int]]:
    """Of every dataset the days on which it was late, and the days measured."""
    counted: dict[str, tuple[int, int]] = {}
    for one in found:
        late, measured = counted.get(one.dataset, (0, 0))
        counted[one.dataset] = (late + (one.late > 0), measured + 1)
    return counted


def _release(ledger: Ledger, subject: str, period: Period) -> Recorded | None:
    """The release that rules were measured on, of the last one by the end of the period."""
    releases = [one for one in ledger.history(subject) if one.kind == RELEASE and as_utc(one.at) < period.end]
    return ledger.measured(releases[:1]).get(releases[0].sequence) if releases else None


def _arrived(receipts: Receipts, scope: Scope, period: Period) -> dict[str, Arrived]:
    stages = (Stage.PULL, Stage.ADMIT, Stage.HOLD)
    found: dict[str, Arrived] = {}
    ours: dict[tuple[str, int | None], bool] = {}
    for one in receipts.between(stages, scope.sources, period.start, period.end):
        counted, batch = found.setdefault(one.subject, Arrived()), (one.subject, one.batch)
        if one.stage == Stage.PULL:
            ours[batch] = str(one.body.get("origin", "")).startswith(OURS)
            counted.batches += not ours[batch]
            continue
        if batch not in ours:  # pulled before the period
            pull = receipts.last(Stage.PULL, one.subject, one.batch)
            ours[batch] = pull is not None and str(pull.body.get("origin", "")).startswith(OURS)
        if one.stage == Stage.HOLD:
            counted.held += 1
        elif ours[batch]:
            counted.back += int(one.body["accepted"])
        else:
            counted.received += int(one.body["received"])
            counted.accepted += int(one.body["accepted"])
            counted.refused += int(one.body["refused"])
    return found


def _issues(contracts: Contracts, register: Register, scope: Scope, period: Period, at: datetime) -> IssueCounts:
    """Issues about what the scope holds, and for a department those that it owns."""
    mine: sa.ColumnElement[bool] = sa.true()
    if scope.kind != "city":
        mine = issues.c.subject.in_([*scope.sources, *scope.subjects])
        if scope.kind == "department":
            mine = mine | (issues.c.owner == scope.name)
    shown = sa.and_(*(~issues.c.code.startswith(f"{area}.") for area in GUARDED))
    rows = register.rows(sa.select(issues).where(mine, shown, issues.c.first_seen < period.end).order_by(issues.c.id))
    day = at.astimezone(period.zone).date()
    open_now, closed, opened, overdue = [], 0, 0, 0
    for row in rows:
        opened += as_utc(row["first_seen"]) >= period.start
        if row["closed"] is not None and (ended := as_utc(row["closed"])) < period.end:
            closed += ended >= period.start
            continue
        open_now.append(row)
        last = feedback.due(row, contracts.city)
        overdue += last is not None and last.day < day
    open_now.sort(key=lambda row: (row["severity"] != "error", -row["count"], row["id"]))
    return IssueCounts(opened, closed, len(open_now), overdue, open_now)


def _head(register: Register, period: Period) -> Head | None:
    """The head that vouches for the last row by the end of the period, so that a past month keeps its own; the newest
    one where none does yet."""
    query = sa.select(sa.func.max(ledger_table.c.sequence).label("last")).where(ledger_table.c.at < period.end)
    (row,) = register.rows(query)
    known = list(heads.listed(register))
    if not known:
        return None
    return next((head for head in known if row["last"] is not None and head.last >= row["last"]), known[-1])


def _newest(register: Register) -> datetime:
    """The moment of the last thing that the register knows of."""
    found = []
    for table in (receipts_table, ledger_table):
        (row,) = register.rows(sa.select(sa.func.max(table.c.at).label("at")))
        if row["at"] is not None:
            found.append(as_utc(row["at"]))
    return max(found, default=datetime(2000, 1, 1, tzinfo=UTC))
