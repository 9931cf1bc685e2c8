"""Pairs of a row and a person that a steward is asked about, and what was said of them. Nothing here is guessed."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa

from pipelines.messages import CitylakeError
from pipelines.register import Register
from pipelines.register.store import now
from pipelines.register.tables import linkage_review as table

Word = Literal["accept", "reject", "never"]
"""`accept`: the row is about the person. `reject`: it is not, as long as it says what it says now. `never`: it is not,
whatever it may say."""


@dataclass(frozen=True)
class Question:
    """A row of a source, or (without a dataset) a registered claim, and the person it may be about.

    `place` is batch:row of what it said when it was asked; `own` the claim of its own number, if that is right.
    """

    dataset: str
    row_key: str
    place: str
    own: str | None
    person: str
    why: str
    weight: float | None
    model: str


@dataclass(frozen=True)
class Answer:
    """A steward's word about a question."""

    question: Question
    word: Word


class Reviews:
    """Reads and writes the questions of one register."""

    def __init__(self, register: Register) -> None:
        self.register = register

    def ask(self, questions: Iterable[Question]) -> int:
        """Make these the open questions: those that were asked before stay, with the place and weight of now; others
        that are open close.

        Returns how many are open.
        """
        wanted = {(one.dataset, one.row_key, one.person): one for one in questions}
        with self.register.begin() as connection:
            pending = connection.execute(sa.select(table).where(table.c.closed.is_(None))).mappings().all()
            known = {(row["dataset"], row["row_key"], row["person"]): row for row in pending}
            settled = [row["id"] for key, row in known.items() if key not in wanted]
            for start in range(0, len(settled), 500):
                ids = settled[start : start + 500]
                connection.execute(sa.update(table).where(table.c.id.in_(ids)).values(closed=now()))
            for key, one in wanted.items():
                if key in known and any(known[key][name] != value for name, value in vars(one).items()):
                    connection.execute(sa.update(table).where(table.c.id == known[key]["id"]).values(**vars(one)))
            new = [{**vars(one), "asked": now()} for key, one in sorted(wanted.items()) if key not in known]
            if new:
                connection.execute(sa.insert(table), new)
        return len(wanted)

    def open(self) -> list[dict[str, Any]]:
        """The open questions, in the order in which they were asked."""
        return self.register.rows(sa.select(table).where(table.c.closed.is_(None)).order_by(table.c.id))

    def answers(self) -> list[Answer]:
        """The last word about each pair, in a fixed order."""
        said = sa.select(table).where(table.c.word.is_not(None)).order_by(table.c.closed, table.c.id)
        last: dict[tuple[str, str, str], Answer] = {}
        for row in self.register.rows(said):
            fields = {name: row[name] for name in Question.__dataclass_fields__}
            last[row["dataset"], row["row_key"], row["person"]] = Answer(Question(**fields), row["word"])
        return [last[key] for key in sorted(last)]

    def decide(self, number: int, word: Word, who: str, reason: str) -> None:
        """Say the word about an open question, or another one about a question that was answered.

        Raises CitylakeError for a question that was never asked, or that was settled without a word.
        """
        changed: datetime = now()
        with self.register.begin() as connection:
            row = connection.execute(sa.select(table).where(table.c.id == number)).mappings().one_or_none()
            if row is None or (row["closed"] is not None and row["word"] is None):
                raise CitylakeError("linkage.no_question", id=number)
            said = {"word": word, "who": who, "reason": reason, "closed": changed}
            if row["word"] is None:
                connection.execute(sa.update(table).where(table.c.id == number).values(**said))
            else:  # what was said before stays on record
                copy = {name: value for name, value in row.items() if name != "id"}
                connection.execute(sa.insert(table).values(**{**copy, **said}))
