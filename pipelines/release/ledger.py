"""The ledger of releases. Inserting a release row is moving the pointer: readers read the version it names."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from pipelines.register import Register, chain
from pipelines.register.tables import ledger as table

RELEASE, REFUSAL, WITHDRAWAL, CONFIRMATION = "release", "refusal", "withdrawal", "confirmation"
ERASURE, ERASURE_LIFT = "erasure", "erasure_lift"
RETENTION, HOLD, HOLD_END = "retention", "hold", "hold_end"
"""What was ended because a contract's period is over; a legal hold against that, and its end."""
REPORT = "report"
"""The reports of a month that is over were made; the row has the hashes of the files."""
PAST_WITHDRAWAL, REINSTATEMENT = "past_withdrawal", "reinstatement"
"""One version that was replaced already is taken back; a subject that was withdrawn may be released again."""

PROPOSAL, APPROVAL, APPROVAL_END = "proposal", "approval", "approval_end"
"""Somebody proposes what a product shows, another person approves it; either word is refused or ended."""
APPROVER_KEY, KEYS = "approver_key", "approvers"
"""The key with which an approver signs from now on, none in a row that ends it; and the subject of such rows."""


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

    def record(self, entries: Sequence[Entry]) -> list[Recorded]:
        """Write all entries in one transaction: readers see all of them or none."""
        with self.register.begin() as connection:
            return [appended(connection, entry) for entry in entries]

    def publish(
        self,
        entries: Sequence[Entry],
        overtaken: Callable[["Ledger", Sequence[Entry]], Mapping[str, Recorded]],
    ) -> dict[str, Recorded]:
        """Write the entries of an edition in one transaction, but no release of what was withdrawn meanwhile or whose
        approval is no longer the one in force, which `overtaken` tells (approval.overtaken; it stands on this module).

        Returns the words that stood against a release, by subject.
        """
        with self.register.begin() as connection:
            chain.take_place(connection, table)  # nobody says a word between the look and the writing
            releases = [one for one in entries if one.kind == RELEASE]
            withdrawn = self.withdrawn()
            words = {one.subject: withdrawn[one.subject] for one in releases if one.subject in withdrawn}
            words = {**overtaken(self, releases), **words}
            for entry in entries:
                if entry.kind != RELEASE or entry.subject not in words:
                    appended(connection, entry)
        return words

    def published(self) -> dict[str, Recorded]:
        """The published version of every subject that has one: its newest release, unless withdrawn after it."""
        return {name: entry for name, entry in self.newest(RELEASE, WITHDRAWAL).items() if entry.kind == RELEASE}

    def withdrawn(self) -> dict[str, Recorded]:
        """The withdrawal of every subject that was withdrawn and neither reinstated nor released since."""
        newest = self.newest(RELEASE, WITHDRAWAL, REINSTATEMENT)
        return {subject: entry for subject, entry in newest.items() if entry.kind == WITHDRAWAL}

    def taken_back(self, subject: str) -> list[tuple[Recorded, list[Recorded]]]:
        """Every withdrawal of a subject or of one of its versions, in order, with the releases that it took back."""
        kinds = (RELEASE, WITHDRAWAL, PAST_WITHDRAWAL)
        query = sa.select(table).where(table.c.subject == subject, table.c.kind.in_(kinds)).order_by(table.c.sequence)
        found: list[tuple[Recorded, list[Recorded]]] = []
        readable: list[Recorded] = []
        for entry in map(_recorded, self.register.rows(query)):
            if entry.kind == RELEASE:
                readable.append(entry)
                continue
            closed = [one for one in readable if entry.kind == WITHDRAWAL or one.version == entry.version]
            readable = [one for one in readable if one not in closed]
            found.append((entry, closed))
        return found

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

    def between(self, first: datetime, end: datetime) -> list[Recorded]:
        """Every row from `first` until before `end`, in order."""
        query = sa.select(table).where(table.c.at >= first, table.c.at < end).order_by(table.c.sequence)
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
        """Every version that was released and not ended since, by subject: what must stay readable."""
        query = sa.select(table.c.subject, table.c.version).where(table.c.kind == RELEASE)
        versions: dict[str, set[int]] = {}
        for row in self.register.rows(query):
            versions.setdefault(row["subject"], set()).add(row["version"])
        for subject, ended in self.ended_versions().items():
            versions[subject] -= ended.keys()
        return versions

    def ended_versions(self) -> dict[str, dict[int, Recorded]]:
        """The versions that were ended, for their period was over or by an order, by subject, each with the row that
        says so."""
        found: dict[str, dict[int, Recorded]] = {}
        for entry in self.rewritings():
            for subject, versions in entry.body.get("releases", {}).items():
                ended = {int(version): entry for version, (_, after) in versions.items() if after is None}
                found.setdefault(subject, {}).update(ended)
        return {subject: versions for subject, versions in found.items() if versions}

    def releases(self) -> list[Recorded]:
        """Every release there ever was, in order."""
        query = sa.select(table).where(table.c.kind == RELEASE).order_by(table.c.sequence)
        return [_recorded(row) for row in self.register.rows(query)]

    def kept_releases(self) -> list[Recorded]:
        """Every release whose version was not ended, in order."""
        ended = self.ended_versions()
        return [entry for entry in self.releases() if entry.version not in ended.get(entry.subject, ())]

    def erasures(self) -> list[Recorded]:
        """The receipts of all erasures, in order; their subject is the order."""
        return self.of_kind(ERASURE)

    def standing_erasures(self) -> list[Recorded]:
        """The receipts of the erasures that no word lifted: what is delivered of these persons is withheld."""
        lifted = {(entry.subject, entry.body["person"]) for entry in self.of_kind(ERASURE_LIFT)}
        return [entry for entry in self.erasures() if (entry.subject, entry.body["person"]) not in lifted]

    def rewritings(self) -> list[Recorded]:
        """The receipts of everything that changed what had been written: erasures and ended periods, in order."""
        return self.of_kind(ERASURE, RETENTION)

    def of_kind(self, *kinds: str) -> list[Recorded]:
        """Every row of these kinds, in order."""
        query = sa.select(table).where(table.c.kind.in_(kinds)).order_by(table.c.sequence)
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


def appended(connection: sa.Connection, entry: Entry) -> Recorded:
    """Write one entry inside the caller's writing transaction."""
    row = {"kind": entry.kind, "subject": entry.subject, "edition": entry.edition, "version": entry.version}
    return _recorded(chain.append(connection, table, row, entry.body))


def _recorded(row: dict[str, Any]) -> Recorded:
    fields = ("sequence", "at", "kind", "subject", "edition", "version", "hash")
    return Recorded(**{name: row[name] for name in fields}, body=json.loads(row["body"]))
