"""Scores by the day, kept for ever: what was measured by the end of each day of the city, of every source and of every
model and product that was published then.

Rules, cycles and contracts change; what was measured does not, so a day is written down as it was, with its counts by
dimension and by rule, and never computed again. The last word of a day counts; a day on which nothing ran has none.
Belongs here: keeping and reading days, and adding datasets up to departments. How scores come about is in `scores`.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from pipelines.contracts.load import Contracts
from pipelines.evidence import scores, standing
from pipelines.issues import Issues
from pipelines.lake import delta
from pipelines.lake.zones import Lake
from pipelines.register import Register
from pipelines.register.receipts import Receipts, Stage
from pipelines.register.tables import receipt as table
from pipelines.release.ledger import Ledger

RUN = "scores"
"""Whose receipts they are: of no run, for a day is measured whether or not anything ran."""

EARLIER = timedelta(days=7)
"""How long before its day a receipt may have been written: more than clocks differ."""


@dataclass(frozen=True)
class Measured:
    """One dataset at the end of a day. `scores`: all six dimensions; `by_rule`: rule -> rows refused in what was
    measured, of what is published rule -> values that fail; `open`: those of them that still do; `late`: days overdue.

    Of sources only: `received`, `refused`, `late`. Of what is published only: `owner`, and `on`, the model and version
    that its rules were measured on: products are cut from one, and carry its findings.
    """

    dataset: str
    day: date
    received: int
    refused: int
    scores: Sequence[scores.Score]
    by_rule: Mapping[str, int]
    open: Mapping[str, int]
    late: int
    owner: str | None = None
    on: tuple[str, int] | None = None

    @property
    def organisation(self) -> str:
        """The department that delivers the source, or owned what was published."""
        return self.owner or self.dataset.partition("/")[0]

    @property
    def total(self) -> float | None:
        """The weighted total, 0 to 1."""
        return scores.total(self.scores)


@dataclass(frozen=True)
class Together:
    """Several datasets at the end of one day: each dimension is the sum of their A over the sum of their B."""

    day: date
    datasets: int
    received: int
    refused: int
    late: int
    scores: Sequence[scores.Score]

    @property
    def total(self) -> float | None:
        """The weighted total, 0 to 1."""
        return scores.total(self.scores)


def owners(contracts: Contracts) -> dict[str, str]:
    """All that is measured by the contracts of now, each with its department: sources, models, products."""
    found = {name: source.org for name, source in contracts.sources.items()}
    found |= {name: model.form.owner for name, model in contracts.models.items()}
    return found | {name: product.contract.form.owner for name, product in contracts.products.items()}


def keep(contracts: Contracts, register: Register, lake: Lake, moment: datetime) -> int:
    """Write down how every source with a delivery and all that is published stand; returns of how many something new
    was written."""
    receipts = Receipts(register, RUN)
    day = moment.astimezone(ZoneInfo(contracts.city.timezone)).date().isoformat()
    found = dict(_of_sources(contracts, register, lake, moment)) | dict(_of_published(contracts, register, lake))
    known = _last(register, found)
    new = {name: {"day": day, **body} for name, body in found.items() if known.get(name) != {"day": day, **body}}
    for name, body in new.items():
        receipts.add(Stage.SCORE, name, body)
    return len(new)


def _of_sources(
    contracts: Contracts, register: Register, lake: Lake, moment: datetime
) -> Iterator[tuple[str, dict[str, Any]]]:
    receipts, issues = Receipts(register, RUN), Issues(register)
    for source in contracts.sources.values():
        found = standing.of_source(receipts, lake, source, moment)
        if found.batches:
            yield (
                source.id,
                {
                    "received": found.received,
                    "refused": found.refused,
                    "scores": _counts(found.scores),
                    "by_rule": dict(sorted(found.by_rule.items())),
                    "open": issues.refused(source.id),
                    "late": found.late,
                },
            )


def _of_published(contracts: Contracts, register: Register, lake: Lake) -> Iterator[tuple[str, dict[str, Any]]]:
    """What rules found in the versions that are published, and whether these can be read; nothing of one whose
    measuring the ledger does not know."""
    ledger, owned = Ledger(register), owners(contracts)
    published = {name: entry for name, entry in ledger.published().items() if name in owned}
    measured = ledger.measured(published.values())
    for name, entry in published.items():
        proof = measured.get(entry.sequence)
        if proof is None or entry.version is None:
            continue
        rules = proof.body.get("rules", [])
        readable = delta.is_readable(lake.subject(name), entry.version)
        failing = {str(rule["rule"]): int(rule["failed"]) for rule in rules if rule["failed"]}
        body = {
            "owner": owned[name],
            "on": [proof.subject, proof.version],
            "scores": _counts(scores.merged(scores.of_release(rules), scores.of_reading(readable))),
            "by_rule": dict(sorted(failing.items())),
        }
        yield name, body


def _counts(found: Iterable[scores.Score]) -> dict[str, list[int]]:
    return {one.dimension: [one.rules, one.evaluated, one.failed] for one in found}


def measured(register: Register, datasets: Collection[str], first: date, last: date) -> list[Measured]:
    """What was kept of some datasets from one day to another, both included, in order of days and names.

    A source in real time has many receipts of a day: only the last of each is read.
    """
    day = table.c.body["day"].as_string()
    wanted = _scores_of(datasets) & day.between(first.isoformat(), last.isoformat())
    if first - date.min > EARLIER:  # a day is written when it is: bodies of earlier receipts need not be looked into
        wanted &= table.c.at >= datetime.combine(first - EARLIER, time(), UTC)
    newest = sa.select(sa.func.max(table.c.id)).where(wanted).group_by(table.c.subject, day)
    found = register.rows(sa.select(table.c.subject, table.c.body).where(table.c.id.in_(newest)))
    return sorted((_measured(**row) for row in found), key=lambda one: (one.day, one.dataset))


def newest_day(register: Register, datasets: Collection[str]) -> date | None:
    """The last day on which any of these datasets was measured."""
    newest = _newest(datasets)
    (row,) = register.rows(
        sa.select(sa.func.max(table.c.body["day"].as_string()).label("day")).where(table.c.id.in_(newest))
    )
    return date.fromisoformat(row["day"]) if row["day"] else None


def first_day(register: Register) -> date | None:
    """The first day on which anything was measured."""
    query = sa.select(sa.func.min(table.c.body["day"].as_string()).label("day"))
    (row,) = register.rows(query.where(table.c.stage == Stage.SCORE.value))
    return date.fromisoformat(row["day"]) if row["day"] else None


def once(found: Iterable[Measured]) -> list[Measured]:
    """The same datasets, with what rules found in one version of a model counted once: of the others that were cut
    from it only whether they can be read is left."""
    seen, left = set[tuple[str, int]](), list[Measured]()
    for one in found:
        if one.on is not None and one.on in seen:
            readable = [score for score in one.scores if score.dimension == scores.ACCESSIBILITY]
            one = replace(one, scores=scores.merged(readable), by_rule={}, open={})
        seen |= {one.on} if one.on else set()
        left.append(one)
    return left


def together(found: Iterable[Measured]) -> list[Together]:
    """The sums over datasets, by day: A and B are added before they are divided, so large datasets weigh more."""
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
            scores.merged(*(one.scores for one in once(mine))),
        )
        for day, mine in sorted(by_day.items())
    ]


def by_organisation(found: Iterable[Measured]) -> dict[str, list[Together]]:
    """The same for each department that delivered or owned any."""
    mine: dict[str, list[Measured]] = {}
    for one in found:
        mine.setdefault(one.organisation, []).append(one)
    return {organisation: together(days) for organisation, days in sorted(mine.items())}


def _last(register: Register, datasets: Collection[str]) -> dict[str, dict[str, Any]]:
    """What was written down last of each."""
    query = sa.select(table.c.subject, table.c.body).where(table.c.id.in_(_newest(datasets)))
    return {row["subject"]: row["body"] for row in register.rows(query)}


def _newest(datasets: Collection[str]) -> sa.Select[Any]:
    return sa.select(sa.func.max(table.c.id)).where(_scores_of(datasets)).group_by(table.c.subject)


def _scores_of(datasets: Collection[str]) -> sa.ColumnElement[bool]:
    return table.c.subject.in_(list(datasets)) & (table.c.stage == Stage.SCORE.value)


def _measured(subject: str, body: Mapping[str, Any]) -> Measured:
    on = body.get("on")
    return Measured(
        subject,
        date.fromisoformat(body["day"]),
        body.get("received", 0),
        body.get("refused", 0),
        [scores.Score(name, *body["scores"].get(name, (0, 0, 0))) for name in scores.DIMENSIONS],
        body["by_rule"],
        body.get("open", body["by_rule"]),  # what is published has no other, nor have the first days of sources
        body.get("late", 0),
        body.get("owner"),
        (on[0], on[1]) if on else None,
    )
