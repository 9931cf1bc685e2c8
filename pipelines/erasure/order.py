"""One order to erase one person, carried out as a whole: planned, journalled, done, proved, and recorded in the ledger.

The journal lies in the home until the receipt is written, so that an order whose process was killed is carried out by
giving it again; no run starts before that. It holds what is looked for and is gone with the receipt.
"""

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb

from pipelines.admission import granted
from pipelines.codecs.sql import identifier, literals
from pipelines.contracts.load import Contracts, Product
from pipelines.engine import connect
from pipelines.erasure import find, marks, search
from pipelines.erasure.find import Found
from pipelines.erasure.products import in_product
from pipelines.erasure.rows import Wanted, persons
from pipelines.erasure.traces import Traces, of_register, traces_in
from pipelines.lake.candidate import fingerprint
from pipelines.lake.checksums import Checksums, checksums
from pipelines.lake.cleanup import forget_candidates, forget_views, unneeded
from pipelines.lake.lineage import upstream
from pipelines.lake.parquet import columns_of, files_of, read_files
from pipelines.lake.rewrite import Planned, carry_out, drop, write_journal
from pipelines.messages import CitylakeError
from pipelines.register import Register
from pipelines.release.ledger import ERASURE, Entry, Ledger, Recorded
from pipelines.release.person import Person
from pipelines.release.publish import files_folder, write_downloads
from pipelines.release.rows import ReleasedRows
from pipelines.retention.holds import Hold, in_force
from pipelines.settings import Settings

JOURNAL = "erasure.json"
KEY = "erasure"
"""The key in secrets/ of the hashes that are kept of erased persons."""


@dataclass(frozen=True)
class Order:
    """An order: its number, who gave it, and why. `end_versions`: earlier versions of products in which not every row
    is found end as a whole."""

    number: str
    who: str
    why: str
    end_versions: bool = False


@dataclass
class Journal:
    """What an order is about to do. Paths are below the home; `files` have their checksums before it.

    `releases`: by subject and version the fingerprint before. `refused`: sources whose rows stay, and why; `kept`:
    models that are built from them, which stay too. `unknown`: folders that no contract tells how to read any more.
    `versions`: by product those that end as a whole.
    """

    order: dict[str, Any]
    person: str
    wanted: dict[str, Any]
    files: list[dict[str, Any]] = field(default_factory=list)
    dropped: dict[str, Checksums] = field(default_factory=dict)
    downloads: dict[str, Checksums] = field(default_factory=dict)
    releases: dict[str, dict[str, str]] = field(default_factory=dict)
    refused: list[dict[str, Any]] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    versions: dict[str, list[int]] = field(default_factory=dict)


def require_finished(home: Path) -> None:
    """Raises CitylakeError while an order is half done."""
    if (home / JOURNAL).exists():
        order = json.loads((home / JOURNAL).read_text("utf-8"))["order"]["number"]
        raise CitylakeError("erase.unfinished", order=order)


def erasing_key(settings: Settings, ledger: Ledger) -> bytes:
    """The key of the marks of erased persons, made at its first use. Raises LostKey: by another one nobody would be
    found who was erased, and each would come back."""
    return settings.first_key(KEY, lambda: bool(ledger.standing_erasures()))


class Erasure:
    """Erasing persons in one home, under the run lock."""

    def __init__(self, settings: Settings, contracts: Contracts, register: Register) -> None:
        self.settings, self.contracts, self.register = settings, contracts, register
        self.lake, self.home = settings.lake, settings.home
        self.ledger = Ledger(register)
        self.key = erasing_key(settings, self.ledger)

    def carry_out(self, person: str, order: Order) -> dict[str, Any]:
        """Erase a person; the body of the receipt. An order that was carried out already is not carried out again.

        Raises CitylakeError for an id nobody has, a person whose number also stands for somebody who is told apart, a
        number that was given to another order, and an order while another one is half done.
        """
        journal = self._begun(person, order)
        if journal is None:
            for entry in self.ledger.erasures():
                if entry.subject == order.number:
                    if entry.body["person"] == self._mark(person):
                        return entry.body
                    raise CitylakeError("erase.order_taken", order=order.number)
            journal = self._planned(person, order)
            self._write(journal)
        with connect(self.lake.scratch()) as con:
            self._rewrite(con, journal)
            self._drop(con, journal)
            of_register(self.register, self._traces(journal))
            self._prove(con, journal)
        return self._record(journal)

    def _mark(self, person: str) -> str:
        return marks.mark(self.key, "person", [person])[person]

    def _begun(self, person: str, order: Order) -> Journal | None:
        """The journal of this order, if it was begun."""
        file = self.home / JOURNAL
        if not file.exists():
            return None
        journal = Journal(**json.loads(file.read_text("utf-8")))
        if journal.order["number"] != order.number or journal.person != self._mark(person):
            raise CitylakeError("erase.unfinished", order=journal.order["number"])
        done = {entry.subject for entry in self.ledger.erasures()}
        if order.number in done:  # killed between the receipt and here
            file.unlink()
            return None
        return journal

    def _write(self, journal: Journal) -> None:
        write_journal(self.home / JOURNAL, asdict(journal))

    def _planned(self, person: str, order: Order) -> Journal:
        released = ReleasedRows(self.contracts, self.lake, self.register)
        with closing(released.con):
            one = Person(released, person)
        with connect(self.lake.scratch()) as con:
            if registers := search.sharing(con, self.lake, self.contracts, one.id, one.claims):
                raise CitylakeError("erase.shared", order=order.number, registers="、".join(sorted(registers)))
            refused = list(self._refused(con, one.claims))
            kept = self._kept([left["source"] for left in refused])
            wanted = search.wanted(
                con,
                self.lake,
                self.contracts,
                one.ids,
                one.claims,
                order.number,
                [left["source"] for left in refused],
            )
            journal = Journal(asdict(order), self._mark(person), asdict(wanted), refused=refused, kept=kept)
            found = self._search(con, wanted, journal)
        journal.files = [one.stored(self.home) for one in found.planned]
        journal.dropped = {self._name(path): checksums(path) for path in found.dropped}
        journal.unknown = sorted(self._name(folder) for folder in self._unknown())
        journal.versions = found.versions
        journal.releases = self._fingerprints({one.place for one in found.planned} | found.versions.keys())
        journal.downloads = {
            self._name(file): checksums(file)
            for subject, version in self._open(journal)
            for file in sorted(files_folder(self.lake, self.contracts.products[subject], version).glob("*"))
        }
        return journal

    def _open(self, journal: Journal) -> Iterator[tuple[str, int]]:
        """The versions of open products that lose rows and stay: their downloads are to say the same."""
        for subject, versions in journal.releases.items():
            for version in map(int, versions) if subject.startswith("open/") else ():
                if version not in journal.versions.get(subject, ()):
                    yield subject, version

    def _unknown(self) -> Iterator[Path]:
        """Folders of sources, models and products that stand in no contract any more: nobody searches them."""
        known = {
            zone(source.org, source.dataset)
            for source in self.contracts.sources.values()
            for zone in (self.lake.raw, self.lake.core, self.lake.quarantine)
        }
        known |= {self.lake.subject(subject) for subject in (*self.contracts.models, *self.contracts.products)}
        for pattern in ("raw/*/*", "core/*/*", "quarantine/*/*", "released/*/*", "released/products/*/*"):
            for folder in self.lake.root.glob(pattern):
                parts = folder.relative_to(self.lake.root).parts
                channel = parts[:2] == ("released", "products") and len(parts) == 3
                if folder.is_dir() and folder not in known and parts[:2] != ("released", "files") and not channel:
                    yield folder

    def _name(self, path: Path) -> str:
        return str(path.relative_to(self.home))

    def _refused(self, con: duckdb.DuckDBPyConnection, claims: Sequence[str]) -> Iterator[dict[str, Any]]:
        """The sources that keep their rows by law and have rows of the person, and those under a legal hold, with the
        reason."""
        held = self._held()
        for name, contract in self.contracts.sources.items():
            files = files_of(self.lake.core(contract.org, contract.dataset))
            why, hold = contract.form.erasure.refused, held.get(name)
            if why is None and hold is None:
                continue
            known = columns_of(con, files) if files else {}
            stands = [
                f"{identifier(column)} IN ({literals(claims)})" for column in persons(contract) if column in known
            ]
            asked = f"SELECT count(*) FROM {read_files(files)} WHERE {' OR '.join(stands)}"
            (rows,) = (con.execute(asked).fetchone() or (0,)) if stands else (0,)
            if hold is not None:
                yield {"source": name, "rows": rows, **_by_hold(hold)}
            elif why is not None and rows:
                yield {"source": name, "rows": rows, "basis": why.basis, "read": why.source, "sure": why.confidence}

    def _held(self) -> dict[str, Hold]:
        """The legal holds of today, by source or model: what is held is not erased either."""
        today = datetime.now(ZoneInfo(self.contracts.city.timezone)).date()
        return {hold.dataset: hold for hold in in_force(self.ledger, today)}

    def _kept(self, refused: Sequence[str]) -> list[str]:
        """The models that are held, and those that are built from such sources: they would say the same again."""
        held = [model for model in self.contracts.models if model in self._held()]
        if not refused:
            return held
        project = self.settings.dbt_project
        built = [model for model in self.contracts.models if {*upstream(project, model).sources} & {*refused}]
        return sorted({*held, *built})

    def _search(self, con: duckdb.DuckDBPyConnection, wanted: Wanted, journal: Journal) -> Found:
        """Everything in which the person stands now."""
        found, contracts, lake = Found(), self.contracts, self.lake
        left = {one["source"] for one in journal.refused}
        ended = found.versions if journal.order.get("end_versions") else None
        for model, contract in contracts.models.items():
            if model in journal.kept:
                continue
            changes = find.in_model(con, lake, contract, contracts, wanted)
            found.planned += changes
            for product in contract.products if changes else ():
                versions = [one for one in self.ledger.kept_releases() if one.subject == product.id]
                found.planned += in_product(con, lake, self.settings.kept_key, product, versions, changes, ended)
                found.dropped += self._ended(product, versions, found.versions.get(product.id, ()))
        if not journal.refused:
            found.planned += find.in_linkage(con, lake, wanted)
        for name, source in contracts.sources.items():
            if name in left:
                continue
            found.planned += find.in_quarantine(con, lake, source, contracts, wanted)
            found.planned += find.in_core(con, lake, source, contracts, wanted)
            for batch in sorted(lake.raw(source.org, source.dataset).glob("*/rows.parquet")):
                if (change := find.in_raw(con, source, contracts, batch, wanted)) is not None:
                    found.planned.append(Planned(f"raw/{name}", batch, change))
                    found.dropped += sorted(
                        path for path in batch.parent.rglob("*") if path.is_file() and path != batch
                    )
        found.dropped += traces_in(self.home, wanted)
        return found

    def _ended(self, product: Product, versions: Sequence[Recorded], ended: Sequence[int]) -> Iterator[Path]:
        """The files that only versions of a product need which end as a whole, and their downloads."""
        if ended:
            kept = {one.version for one in versions if one.version is not None} - {*ended}
            yield from unneeded(self.lake.product(product.channel, product.name), kept)
            for version in ended:
                yield from sorted(files_folder(self.lake, product, version).glob("*"))

    def _fingerprints(self, places: set[str]) -> dict[str, dict[str, str]]:
        """By subject and version what every release of some subjects is now."""
        found: dict[str, dict[str, str]] = {}
        for entry in self.ledger.kept_releases():
            if entry.subject in places and entry.version is not None:
                mark = fingerprint(self.lake.subject(entry.subject), entry.version)
                found.setdefault(entry.subject, {})[str(entry.version)] = mark
        return found

    def _rewrite(self, con: duckdb.DuckDBPyConnection, journal: Journal) -> None:
        """Rewrite what was not rewritten before a kill, then make logs and downloads say the same."""
        carry_out(con, self.home, journal.files)
        for subject, version in self._open(journal):
            write_downloads(con, self.lake, self.contracts.products[subject], version)

    def _drop(self, con: duckdb.DuckDBPyConnection, journal: Journal) -> None:
        """Files that go as a whole, and everything that is made again from what is left."""
        drop(self.home, journal.dropped)
        carry_out(con, self.home, (), [self._name(self.lake.subject(name)) for name in journal.versions])
        for place in {one["place"] for one in journal.files}:
            zone, _, source = place.partition("/")
            if zone == "core":
                shutil.rmtree(self.lake.hashes(*source.split("/")), ignore_errors=True)
        for name, keys in journal.wanted["keys"].items():
            granted.forget(self.lake, self.contracts.sources[name], keys)
        forget_views(self.lake)
        forget_candidates(self.lake)
        for path in self.settings.marts.parent.glob("*"):
            path.unlink()

    def _traces(self, journal: Journal) -> Traces:
        wanted = Wanted(**journal.wanted)
        rows = () if journal.refused else tuple((name, key) for name, keys in wanted.keys.items() for key in keys)
        return Traces(journal.order["number"], tuple(wanted.marks), rows, not journal.refused)

    def _prove(self, con: duckdb.DuckDBPyConnection, journal: Journal) -> None:
        """Search once more. Raises CitylakeError if anything is left."""
        left = self._search(con, Wanted(**journal.wanted), journal)
        if left.planned or left.dropped:
            files = sorted({one.place for one in left.planned} | {self._name(path) for path in left.dropped})
            raise CitylakeError("erase.left", order=journal.order["number"], places="、".join(files))

    def _record(self, journal: Journal) -> dict[str, Any]:
        """The receipt in the ledger; then the journal goes."""
        now = self._fingerprints(set(journal.releases))
        for subject, versions in journal.versions.items():
            now[subject] = {name: mark for name, mark in now[subject].items() if int(name) not in versions}
        places: dict[str, dict[str, int]] = {}
        for one in journal.files:
            counts = places.setdefault(one["place"], {"rows": 0, "cells": 0})
            counts["rows"] += len(one["change"]["gone"])
            counts["cells"] += sum(len(cells) for cells in one["change"]["cells"].values())
        changed = {one["file"]: one["before"] for one in journal.files} | journal.downloads
        body = {
            "order": journal.order["number"],
            "who": journal.order["who"],
            "why": journal.order["why"],
            "person": journal.person,
            "marks": marks.of(Wanted(**journal.wanted), self.key),
            "places": places,
            "files": {name: [old, checksums(self.home / name)] for name, old in changed.items()}
            | {name: [old, None] for name, old in journal.dropped.items()},
            "releases": {
                subject: {version: [old, now[subject].get(version)] for version, old in versions.items()}
                for subject, versions in journal.releases.items()
            },
            "refused": journal.refused,
            "kept": journal.kept,
            "versions": journal.versions,
            "unknown": journal.unknown,
            "backups": [str(folder) for folder in self.settings.backups],  # none: nobody looked into any
        }
        number = journal.order["number"]
        self.ledger.record([Entry(ERASURE, number, f"erasure-{number}"[:64], None, body)])
        (self.home / JOURNAL).unlink()
        return body


def _by_hold(hold: Hold) -> dict[str, str]:
    """Why a held source is left, as the receipt keeps it."""
    return {"basis": f"法律保全 / legal hold #{hold.number}", "read": hold.why, "sure": hold.who}
