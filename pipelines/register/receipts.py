"""Receipts: the only record of what ran. Every stage writes one; the state of a batch is what its receipts say."""

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from pipelines.register.store import Register, now
from pipelines.register.tables import receipt as table
from pipelines.register.times import as_utc

REPLAY, RETURNED = "replay:", "returned:"
"""How the origin of a batch begins that no source delivered: one that repeats others, one of corrected rows."""


class Stage(StrEnum):
    """What a receipt is of. `hold`, `confirm` and `reject` are decisions about a batch that looked wrong; `seen` says
    that a source was asked and had nothing that was not pulled before; `link` that rows were linked to persons;
    `across` what rules about two sources found; `export` that refused rows, or what such a rule found, left the house,
    or that a steward looked at what uncertain rows say;
    `correction` that a person asked a source for one; `retention` under which terms data could end;
    `position` that a steward moved where a source is read on from;
    `delivery` that a recipient's table was brought up to date, with what was signed; `score` what was measured of a
    source by the end of a day.
    """

    PULL = "pull"
    SEEN = "seen"
    HOLD = "hold"
    CONFIRM = "confirm"
    REJECT = "reject"
    ADMIT = "admit"
    LINK = "link"
    ACROSS = "across"
    EDITION = "edition"
    BUILD = "build"
    EVIDENCE = "evidence"
    MARTS = "marts"
    FAILURE = "failure"
    EXPORT = "export"
    CORRECTION = "correction"
    RETENTION = "retention"
    POSITION = "position"
    DELIVERY = "delivery"
    SCORE = "score"


@dataclass(frozen=True)
class Receipt:
    """One receipt as stored. `subject`: a source `<org>/<dataset>`, an edition or a model; `at` is UTC."""

    id: int
    at: datetime
    run: str
    stage: str
    subject: str
    batch: int | None
    body: dict[str, Any]


class Receipts:
    """Reads and writes receipts for one run."""

    def __init__(self, register: Register, run: str) -> None:
        self.register = register
        self.run = run

    def add(self, stage: Stage, subject: str, body: dict[str, Any], batch: int | None = None) -> None:
        """Write one receipt; it is durable when this returns."""
        row = {"at": now(), "run": self.run, "stage": stage.value, "subject": subject, "batch": batch, "body": body}
        with self.register.begin() as connection:
            connection.execute(sa.insert(table).values(**row))

    def last(self, stage: Stage, subject: str, batch: int | None = None) -> Receipt | None:
        """The newest receipt of a stage for a subject, or for one batch of it."""
        query = self._of(subject).where(table.c.stage == stage.value)
        if batch is not None:
            query = query.where(table.c.batch == batch)
        return next((Receipt(**row) for row in self.register.rows(query.limit(1))), None)

    def pulls(self, subject: str, origin: str = "") -> list[Receipt]:
        """Every batch of a source, in order; with `origin` those whose origin begins so."""
        query = sa.select(table).where((table.c.subject == subject) & (table.c.stage == Stage.PULL.value))
        if origin:
            query = query.where(_origin(table).startswith(origin, autoescape=True))
        return [Receipt(**row) for row in self.register.rows(query.order_by(table.c.batch))]

    def steps(self, subject: str) -> list[tuple[str, int | None, dict[str, Any]]]:
        """How a source was read on, in order: stage, batch and of the body what says so (origin, asked, taken, batch,
        and the files of a position where nothing says what was taken)."""
        stages = [Stage.PULL.value, Stage.SEEN.value, Stage.POSITION.value]
        says = [table.c.body[name].label(name) for name in ("origin", "asked", "taken", "batch")]
        files = sa.case((table.c.body["taken"].as_string().is_(None), table.c.body[("position", "files")].as_string()))
        query = sa.select(table.c.id, table.c.stage, table.c.batch.label("number"), *says, files.label("files"))
        query = query.where((table.c.subject == subject) & table.c.stage.in_(stages)).order_by(table.c.id)
        return [
            (row.pop("stage"), row.pop("number"), row | {"files": json.loads(row["files"] or "{}")})
            for row in self.register.rows(query)
        ]

    def batches(self, stage: Stage, subject: str) -> set[int]:
        """The batches of a subject that have a receipt of a stage."""
        mine = (table.c.subject == subject) & (table.c.stage == stage.value)
        return {row["batch"] for row in self.register.rows(sa.select(table.c.batch).where(mine))}

    def last_delivered(self, subject: str) -> Receipt | None:
        """The pull of the newest batch that the source itself delivered."""
        query = self._of(subject).where((table.c.stage == Stage.PULL.value) & ~_ours(table))
        return next((Receipt(**row) for row in self.register.rows(query.limit(1))), None)

    def deliveries_admitted(self, subject: str, limit: int) -> list[Receipt]:
        """The admissions of batches that the source itself delivered, newest first."""
        return [Receipt(**row) for row in self.register.rows(self._admitted(subject).limit(limit))]

    def volumes(self, subject: str, limit: int) -> list[tuple[datetime, int]]:
        """When the source's own deliveries were admitted and how many rows each had, newest first."""
        query = self._admitted(subject).limit(limit)
        query = query.with_only_columns(table.c.at, table.c.body["received"].as_integer().label("received"))
        return [(as_utc(row["at"]), row["received"]) for row in self.register.rows(query)]

    def _admitted(self, subject: str) -> sa.Select[Any]:
        pull = table.alias("pull")
        repeats = sa.exists().where(
            (pull.c.subject == table.c.subject)
            & (pull.c.batch == table.c.batch)
            & (pull.c.stage == Stage.PULL.value)
            & _ours(pull)
        )
        return self._of(subject).where((table.c.stage == Stage.ADMIT.value) & ~repeats)

    def since(self, stage: Stage, subject: str, batch: int) -> list[Receipt]:
        """The receipts of one stage of a subject for the batches from this one on, newest first."""
        query = self._of(subject).where((table.c.stage == stage.value) & (table.c.batch >= batch))
        return [Receipt(**row) for row in self.register.rows(query)]

    def unsettled(self, subject: str) -> list[Receipt]:
        """The pulls of a source that no admission and no rejection followed, in order of their batches."""
        pull, later = table.alias("pull"), table.alias("later")
        settled = sa.exists().where(
            (later.c.subject == pull.c.subject)
            & (later.c.batch == pull.c.batch)
            & later.c.stage.in_([Stage.ADMIT.value, Stage.REJECT.value])
        )
        mine = (pull.c.subject == subject) & (pull.c.stage == Stage.PULL.value)
        query = sa.select(pull).where(mine & ~settled).order_by(pull.c.batch)
        return [Receipt(**row) for row in self.register.rows(query)]

    def of_stage(self, stage: Stage, subject: str, limit: int) -> list[Receipt]:
        """The receipts of one stage of a subject, newest first."""
        query = self._of(subject).where(table.c.stage == stage.value).limit(limit)
        return [Receipt(**row) for row in self.register.rows(query)]

    def any_of(self, stage: Stage) -> bool:
        """Whether there is a receipt of a stage, of whatever subject."""
        return bool(self.register.rows(sa.select(table.c.id).where(table.c.stage == stage.value).limit(1)))

    def of_edition(self, stage: Stage, subject: str, edition: str) -> list[Receipt]:
        """The receipts of one stage of a subject whose body names the edition, newest first."""
        named = table.c.body["edition"].as_string() == edition
        query = self._of(subject).where((table.c.stage == stage.value) & named)
        return [Receipt(**row) for row in self.register.rows(query)]

    def bodies(self, stage: Stage, subject: str | None = None) -> Iterator[dict[str, Any]]:
        """What all receipts of a stage say, or those of one subject."""
        query = sa.select(table.c.body).where(table.c.stage == stage.value)
        if subject is not None:
            query = query.where(table.c.subject == subject)
        return (row["body"] for row in self.register.rows(query))

    def between(
        self, stages: Collection[Stage], subjects: Collection[str], first: datetime, end: datetime
    ) -> list[Receipt]:
        """The receipts of some stages of some subjects from `first` until before `end`, in order."""
        mine = table.c.subject.in_(list(subjects)) & table.c.stage.in_([stage.value for stage in stages])
        query = sa.select(table).where(mine, table.c.at >= first, table.c.at < end).order_by(table.c.id)
        return [Receipt(**row) for row in self.register.rows(query)]

    def history(self, subject: str, limit: int = 100) -> list[Receipt]:
        """The receipts of a subject, newest first."""
        return [Receipt(**row) for row in self.register.rows(self._of(subject).limit(limit))]

    def of_run(self, run: str) -> list[Receipt]:
        """The receipts of a run, in order."""
        query = sa.select(table).where(table.c.run == run).order_by(table.c.id)
        return [Receipt(**row) for row in self.register.rows(query)]

    @staticmethod
    def _of(subject: str) -> sa.Select[Any]:
        return sa.select(table).where(table.c.subject == subject).order_by(table.c.id.desc())


def _origin(receipts: sa.FromClause) -> sa.ColumnElement[str]:
    return sa.func.coalesce(receipts.c.body["origin"].as_string(), "")


def _ours(pulls: sa.FromClause) -> sa.ColumnElement[bool]:
    """That a pull is of a batch that no source delivered."""
    return sa.or_(*(_origin(pulls).startswith(kind, autoescape=True) for kind in (REPLAY, RETURNED)))
