"""The ledger of releases. Inserting a release row is moving the pointer: readers read the version it names."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from pipelines.register import Register, chain
from pipelines.register.tables import ledger as table

RELEASE, REFUSAL, WITHDRAWAL = "release", "refusal", "withdrawal"


@dataclass(frozen=True)
class Entry:
    """One ledger row to write. `version`: the Delta version in `released/`; None for a refusal."""

    kind: str
    subject: str
    edition: str
    version: int | None
    body: dict[str, Any]


@dataclass(frozen=True)
class Recorded:
    """One ledger row as written. `at` is UTC."""

    sequence: int
    at: datetime
    kind: str
    subject: str
    edition: str
    version: int | None
    body: dict[str, Any]
    hash: str


class Ledger:
    """Reads and writes the ledger. A subject is a model name or `<channel>/<product>`."""

    def __init__(self, register: Register) -> None:
        self.register = register

    def record(self, entries: Sequence[Entry]) -> None:
        """Write all entries of an edition in one transaction: readers see all of them or none."""
        with self.register.begin() as connection:
            for entry in entries:
                row = {
                    "kind": entry.kind,
                    "subject": entry.subject,
                    "edition": entry.edition,
                    "version": entry.version,
                }
                chain.append(connection, table, row, entry.body)

    def published(self) -> dict[str, Recorded]:
        """The published version of every subject that has one: its newest release, unless withdrawn after it."""
        newest = (
            sa.select(sa.func.max(table.c.sequence))
            .where(table.c.kind.in_([RELEASE, WITHDRAWAL]))
            .group_by(table.c.subject)
        )
        rows = self.register.rows(sa.select(table).where(table.c.sequence.in_(newest)))
        return {row["subject"]: _recorded(row) for row in rows if row["kind"] == RELEASE}

    def history(self, subject: str, limit: int = 100) -> list[Recorded]:
        """All decisions about a subject, newest first."""
        query = sa.select(table).where(table.c.subject == subject).order_by(table.c.sequence.desc()).limit(limit)
        return [_recorded(row) for row in self.register.rows(query)]

    def releases(self, subject: str, versions: Collection[int]) -> dict[int, Recorded]:
        """The newest release of each of these versions, by version; a version that was never released is left out."""
        mine = (table.c.subject == subject) & (table.c.kind == RELEASE) & table.c.version.in_(versions)
        rows = self.register.rows(sa.select(table).where(mine).order_by(table.c.sequence))
        return {row["version"]: _recorded(row) for row in rows}

    def released_versions(self) -> dict[str, set[int]]:
        """Every version that was ever released, by subject: what must stay readable."""
        versions: dict[str, set[int]] = {}
        query = sa.select(table.c.subject, table.c.version).where(table.c.kind == RELEASE)
        for row in self.register.rows(query):
            versions.setdefault(row["subject"], set()).add(row["version"])
        return versions

    def first_break(self) -> int | None:
        """The first row that does not fit the hash chain, or None."""
        with self.register.engine.connect() as connection:
            return chain.first_break(connection, table)


def _recorded(row: dict[str, Any]) -> Recorded:
    fields = ("sequence", "at", "kind", "subject", "edition", "version", "hash")
    return Recorded(**{name: row[name] for name in fields}, body=json.loads(row["body"]))
