"""The ledger of releases. Inserting a release row is moving the pointer: readers read the version it names."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from pipelines.register import Register, chain
from pipelines.register.tables import ledger as table

RELEASE, REFUSAL, WITHDRAWAL, CONFIRMATION = "release", "refusal", "withdrawal", "confirmation"
ERASURE = "erasure"


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
        return {name: entry for name, entry in self.newest(RELEASE, WITHDRAWAL).items() if entry.kind == RELEASE}

    def newest(self, *kinds: str) -> dict[str, Recorded]:
        """The newest row of these kinds of every subject that has one."""
        last = sa.select(sa.func.max(table.c.sequence)).where(table.c.kind.in_(kinds)).group_by(table.c.subject)
        rows = self.register.rows(sa.select(table).where(table.c.sequence.in_(last)))
        return {row["subject"]: _recorded(row) for row in rows}

    def release_beside(self, subject: str, entry: Recorded) -> Recorded | None:
        """The release of a subject that was the newest one when the edition of `entry` was published.

        An edition is one transaction: its own releases count, whatever their order in it.
        """
        beside = sa.or_(table.c.edition == entry.edition, table.c.sequence < entry.sequence)
        query = sa.select(table).where(table.c.subject == subject, table.c.kind == RELEASE, beside)
        rows = self.register.rows(query.order_by(table.c.sequence.desc()).limit(1))
        return next(map(_recorded, rows), None)

    def history(self, subject: str, limit: int = 100) -> list[Recorded]:
        """All decisions about a subject, newest first."""
        query = sa.select(table).where(table.c.subject == subject).order_by(table.c.sequence.desc()).limit(limit)
        return [_recorded(row) for row in self.register.rows(query)]

    def measured(self, releases: Iterable[Recorded]) -> dict[int, Recorded]:
        """For each release, by its sequence number, the release that rules were measured on.

        That is the one of the model version which a product was cut from, not the model's newest; a model's is its
        own. One that the ledger does not know is left out. One query for all.
        """
        wanted = {entry.sequence: _measured_on(entry) for entry in releases}
        named = sa.tuple_(table.c.subject, table.c.version).in_(sorted(set(wanted.values())))
        query = sa.select(table).where((table.c.kind == RELEASE) & named).order_by(table.c.sequence)
        found = {(row["subject"], row["version"]): _recorded(row) for row in self.register.rows(query)}
        return {sequence: found[key] for sequence, key in wanted.items() if key in found}

    def released_versions(self) -> dict[str, set[int]]:
        """Every version that was ever released, by subject: what must stay readable."""
        versions: dict[str, set[int]] = {}
        query = sa.select(table.c.subject, table.c.version).where(table.c.kind == RELEASE)
        for row in self.register.rows(query):
            versions.setdefault(row["subject"], set()).add(row["version"])
        return versions

    def releases(self) -> list[Recorded]:
        """Every release there ever was, in order."""
        query = sa.select(table).where(table.c.kind == RELEASE).order_by(table.c.sequence)
        return [_recorded(row) for row in self.register.rows(query)]

    def erasures(self) -> list[Recorded]:
        """The receipts of all erasures, in order; their subject is the order."""
        query = sa.select(table).where(table.c.kind == ERASURE).order_by(table.c.sequence)
        return [_recorded(row) for row in self.register.rows(query)]

    def first_break(self) -> int | None:
        """The first row that does not fit the hash chain, or None."""
        with self.register.engine.connect() as connection:
            return chain.first_break(connection, table)


def _measured_on(release: Recorded) -> tuple[str, int]:
    """Subject and version that carry the rules of a release: a product is cut from a model and has none of its own."""
    if "model" in release.body:
        return release.body["model"], release.body["model_version"]
    assert release.version is not None
    return release.subject, release.version


def _recorded(row: dict[str, Any]) -> Recorded:
    fields = ("sequence", "at", "kind", "subject", "edition", "version", "hash")
    return Recorded(**{name: row[name] for name in fields}, body=json.loads(row["body"]))
