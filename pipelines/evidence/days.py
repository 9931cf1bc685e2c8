"""Scores by the day, kept for ever: what was measured of every source by the end of each day of the city.

Rules, cycles and contracts change; what was measured does not, so a day is written down as it was, with its counts by
dimension and by rule, and never computed again. The last word of a day counts; a day on which nothing ran has none.
Belongs here: keeping and reading days, and adding sources up to departments. How scores come about is in `scores`.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from pipelines.contracts.load import Contracts
from pipelines.evidence import scores, standing
from pipelines.issues import Issues
from pipelines.lake.zones import Lake
from pipelines.register import Register
from pipelines.register.receipts import Receipts, Stage
from pipelines.register.tables import receipt as table

RUN = "scores"
"""Whose receipts they are: of no run, for a day is measured whether or not anything ran."""

EARLIER = timedelta(days=7)
"""How long before its day a receipt may have been written: more than clocks differ."""


@dataclass(frozen=True)
class Measured:
    """One source at the end of a day. `scores`: all six dimensions; `by_rule`: rule -> rows refused in what was
    measured; `open`: rule -> refused rows that wait for a correction; `late`: days overdue."""

    source: str
    day: date
    received: int
    refused: int
    scores: Sequence[scores.Score]
    by_rule: Mapping[str, int]
    open: Mapping[str, int]
    late: int

    @property
    def organisation(self) -> str:
        """The department that delivers the source."""
        return self.source.partition("/")[0]

    @property
    def total(self) -> float | None:
        """The weighted total, 0 to 1."""
        return scores.total(self.scores)


@dataclass(frozen=True)
class Together:
    """Several sources at the end of one day: each dimension is the sum of their A over the sum of their B."""

    day: date
    sources: int
    received: int
    refused: int
    late: int
    scores: Sequence[scores.Score]

    @property
    def total(self) -> float | None:
        """The weighted total, 0 to 1."""
        return scores.total(self.scores)


def keep(contracts: Contracts, register: Register, lake: Lake, moment: datetime) -> int:
    """Write down how every source with a delivery stands; returns of how many something new was written."""
    receipts, issues = Receipts(register, RUN), Issues(register)
    day = moment.astimezone(ZoneInfo(contracts.city.timezone)).date()
    written = 0
    for source in contracts.sources.values():
        found = standing.of_source(receipts, lake, source, moment)
        if not found.batches:
            continue
        body = {
            "day": day.isoformat(),
            "received": found.received,
            "refused": found.refused,
            "scores": {one.dimension: [one.rules, one.evaluated, one.failed] for one in found.scores},
            "by_rule": dict(sorted(found.by_rule.items())),
            "open": issues.refused(source.id),
            "late": found.late,
        }
        last = receipts.last(Stage.SCORE, source.id)
        if last is None or last.body != body:
            receipts.add(Stage.SCORE, source.id, body)
            written += 1
    return written


def measured(register: Register, sources: Collection[str], first: date, last: date) -> list[Measured]:
    """What was kept of some sources from one day to another, both included, in order of days and sources.

    A source in real time has many receipts of a day: only the last of each is read.
    """
    day = table.c.body["day"].as_string()
    wanted = _scores_of(sources) & day.between(first.isoformat(), last.isoformat())
    if first - date.min > EARLIER:  # a day is written when it is: bodies of earlier receipts need not be looked into
        wanted &= table.c.at >= datetime.combine(first - EARLIER, time(), UTC)
    newest = sa.select(sa.func.max(table.c.id)).where(wanted).group_by(table.c.subject, day)
    found = register.rows(sa.select(table.c.subject, table.c.body).where(table.c.id.in_(newest)))
    return sorted((_measured(**row) for row in found), key=lambda one: (one.day, one.source))


def newest_day(register: Register, sources: Collection[str]) -> date | None:
    """The last day on which any of these sources was measured."""
    newest = sa.select(sa.func.max(table.c.id)).where(_scores_of(sources)).group_by(table.c.subject)
    (row,) = register.rows(
        sa.select(sa.func.max(table.c.body["day"].as_string()).label("day")).where(table.c.id.in_(newest))
    )
    return date.fromisoformat(row["day"]) if row["day"] else None


def first_day(register: Register) -> date | None:
    """The first day on which anything was measured."""
    query = sa.select(sa.func.min(table.c.body["day"].as_string()).label("day"))
    (row,) = register.rows(query.where(table.c.stage == Stage.SCORE.value))
    return date.fromisoformat(row["day"]) if row["day"] else None


def together(found: Iterable[Measured]) -> list[Together]:
    """The sums over sources, by day: A and B are added before they are divided, so large datasets weigh more."""
    by_day: dict[date, list[Measured]] = {}
    for one in found:
        by_day.setdefault(one.day, []).append(one)
    return [
        Together(
            day,
            len(mine),
            sum(one.received for one in mine),
            sum(one.refused for one in mine),
            sum(one.late > 0 for one in mine),
            scores.merged(*(one.scores for one in mine)),
        )
        for day, mine in sorted(by_day.items())
    ]


def by_organisation(found: Iterable[Measured]) -> dict[str, list[Together]]:
    """The same for each department that delivered."""
    mine: dict[str, list[Measured]] = {}
    for one in found:
        mine.setdefault(one.organisation, []).append(one)
    return {organisation: together(days) for organisation, days in sorted(mine.items())}


def _scores_of(sources: Collection[str]) -> sa.ColumnElement[bool]:
    return table.c.subject.in_(list(sources)) & (table.c.stage == Stage.SCORE.value)


def _measured(subject: str, body: Mapping[str, Any]) -> Measured:
    return Measured(
        subject,
        date.fromisoformat(body["day"]),
        body["received"],
        body["refused"],
        [scores.Score(name, *body["scores"].get(name, (0, 0, 0))) for name in scores.DIMENSIONS],
        body["by_rule"],
        body.get("open", body["by_rule"]),  # the first days were written without it
        body["late"],
    )
