"""Ending what is due: planned, journalled, carried out by the machinery of erasure, and recorded in the ledger.

The journal lies in the home until the ledger row is written. Nobody has to decide about it again, so whatever run opens
the home next finishes what a killed one began.
"""

import json
import shutil
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

from pipelines.admission import granted
from pipelines.contracts.load import Contracts, ProductContract, SourceContract
from pipelines.engine import connect
from pipelines.erasure.traces import forget_rows
from pipelines.issues import Finding
from pipelines.lake.candidate import fingerprint
from pipelines.lake.checksums import checksums
from pipelines.lake.cleanup import forget_candidates, forget_views
from pipelines.lake.parquet import make_durable
from pipelines.lake.rewrite import carry_out, drop, write_journal
from pipelines.messages import CitylakeError
from pipelines.register import Register
from pipelines.register.store import now
from pipelines.release.ledger import RETENTION, Entry, Ledger
from pipelines.release.publish import files_folder, write_downloads
from pipelines.retention.due import Found, Search
from pipelines.settings import Settings

JOURNAL = "retention.json"


def require_not_begun(home: Path, dataset: str) -> None:
    """Raises CitylakeError if a killed run has begun to end something of a dataset: the next run finishes that."""
    journal = home / JOURNAL
    begun = json.loads(journal.read_text("utf-8"))["due"] if journal.exists() else []
    if dataset in {one["dataset"] for one in begun}:
        raise CitylakeError("retention.begun", dataset=dataset)


def unfound(dataset: str, errors: Mapping[str, CitylakeError]) -> list[Finding]:
    """What an issue of a dataset says of which a row that is due was not found."""
    if dataset not in errors:
        return []
    why = {f"reason_{language}": errors[dataset].text(language) for language in ("zh", "en")}
    return [Finding("retention.unfound", {"subject": dataset, **why}, "error")]


class Retention:
    """Ending what is due in one home, under the run lock."""

    def __init__(self, settings: Settings, contracts: Contracts, register: Register) -> None:
        self.settings, self.contracts, self.register = settings, contracts, register
        self.lake, self.home, self.ledger = settings.lake, settings.home, Ledger(register)
        self.journal = self.home / JOURNAL
        self.unfound: dict[str, CitylakeError] = {}

    def apply(self, today: date, who: str, why: str, left: Collection[str] = ()) -> dict[str, Any] | None:
        """End everything that is due on a day, not held, and not of a dataset that is `left`; the body of the ledger
        row, None if nothing was due. What is due and was left since its rows were not found is in `unfound`."""
        found = Search(self.settings, self.contracts, self.register).due(today, left)
        self.unfound = found.unfound
        if not found.carried:
            return None
        write_journal(self.journal, self._planned(found, today, who, why))
        return self.finish()

    def finish(self) -> dict[str, Any] | None:
        """Carry out what the journal says, from wherever a killed run stopped; the body of the ledger row, None if
        there is no journal."""
        if not self.journal.exists():
            return None
        journal: dict[str, Any] = json.loads(self.journal.read_text("utf-8"))
        recorded = {entry.subject: entry.body for entry in self.ledger.of_kind(RETENTION)}
        if journal["id"] in recorded:  # killed between the ledger and here
            body = recorded[journal["id"]]
        else:
            self._carry_out(journal)
            body = self._record(journal)
        self.journal.unlink()
        make_durable([], self.home)
        return body

    def _planned(self, found: Found, today: date, who: str, why: str) -> dict[str, Any]:
        """The journal. Paths are below the home; files have their checksums before."""
        about: dict[str, SourceContract | ProductContract] = {**self.contracts.sources, **self.contracts.models}
        rewritten = {one.place for one in found.planned}
        touched = {
            (entry.subject, entry.version)
            for entry in self.ledger.kept_releases()
            if entry.version is not None
            and (entry.subject in rewritten or entry.version in found.versions.get(entry.subject, ()))
        }
        releases: dict[str, dict[str, str]] = {}
        for subject, version in sorted(touched):
            releases.setdefault(subject, {})[str(version)] = fingerprint(self.lake.subject(subject), version)
        journal = {
            "id": f"retention-{now():%Y%m%dT%H%M%S%f}",
            "who": who,
            "why": why,
            "as_of": today.isoformat(),
            "due": [asdict(one) | {"since": one.since.isoformat()} for one in found.carried],
            "contracts": {
                name: {"retention": about[name].form.slaProperties.retention, "hash": about[name].hash}
                for name in sorted({one.dataset for one in found.carried})
            },
            "files": [one.stored(self.home) for one in found.planned],
            "dropped": {str(path.relative_to(self.home)): checksums(path) for path in found.dropped},
            "releases": releases,
            "versions": found.versions,
            "batches": found.batches,
            "horizons": found.horizons,
            "keys": found.keys,
            "held": [asdict(one) | {"since": one.since.isoformat()} for one in found.due if one.held is not None],
        }
        journal["downloads"] = {
            str(file.relative_to(self.home)): checksums(file)
            for subject, version in self._open(journal)
            for file in sorted(files_folder(self.lake, self.contracts.products[subject], version).glob("*"))
        }
        return journal

    def _open(self, journal: dict[str, Any]) -> Iterator[tuple[str, int]]:
        """The versions of open products that lose rows: their downloads are to say the same."""
        for subject, versions in journal["releases"].items():
            known = subject.startswith("open/") and subject in self.contracts.products
            for version in map(int, versions) if known else ():
                if version not in journal["versions"].get(subject, ()):
                    yield subject, version

    def _carry_out(self, journal: dict[str, Any]) -> None:
        drop(self.home, journal["dropped"])
        with connect(self.lake.scratch()) as con:
            tables = [str(self.lake.subject(name).relative_to(self.home)) for name in journal["versions"]]
            carry_out(con, self.home, journal["files"], tables)
            for subject, version in self._open(journal):
                write_downloads(con, self.lake, self.contracts.products[subject], version)
        for source, batches in journal["batches"].items():
            folder = self.lake.raw(*source.split("/"))
            for batch in batches:
                shutil.rmtree(folder / str(batch), ignore_errors=True)
            make_durable([], folder)
        for place in {one["place"] for one in journal["files"]}:
            zone, _, source = place.partition("/")
            if zone == "core":  # what it says of rows that are gone would keep them from coming again
                shutil.rmtree(self.lake.hashes(*source.split("/")), ignore_errors=True)
        for subject, versions in journal["versions"].items():
            product = self.contracts.products.get(subject)
            for version in versions if product else ():
                assert product is not None
                shutil.rmtree(files_folder(self.lake, product, version), ignore_errors=True)
        for source, keys in journal["keys"].items():
            if source in self.contracts.sources:  # a contract may be gone since a kill
                granted.forget(self.lake, self.contracts.sources[source], {*keys})
        if rows := [(source, key) for source, keys in journal["keys"].items() for key in keys]:
            forget_rows(self.register, rows)
        forget_candidates(self.lake)  # what was refused is made of rows that may be over now
        if journal["releases"]:
            forget_views(self.lake)
        if any(one["place"].startswith("analyst/") for one in journal["files"]):
            for path in self.settings.marts.parent.glob("*"):  # made again from what is left
                path.unlink()

    def _record(self, journal: dict[str, Any]) -> dict[str, Any]:
        """The row in the ledger: what was due by which word of which contract, and what is left of every file."""
        places: dict[str, dict[str, int]] = {}
        for one in journal["files"]:
            counts = places.setdefault(one["place"], {"rows": 0, "cells": 0})
            counts["rows"] += len(one["change"]["gone"])
        ended = journal["versions"]
        changed = {one["file"]: one["before"] for one in journal["files"]} | journal["downloads"]
        body = {
            **{
                name: journal[name]
                for name in ("who", "why", "as_of", "due", "contracts", "batches", "horizons", "held")
            },
            "rows": sum(one["rows"] for one in journal["due"]),
            "places": places,
            "files": {name: [old, checksums(self.home / name)] for name, old in changed.items()}
            | {name: [old, None] for name, old in journal["dropped"].items()},
            "releases": {
                subject: {
                    version: [
                        old,
                        None if int(version) in ended.get(subject, ()) else self._fingerprint(subject, version),
                    ]
                    for version, old in versions.items()
                }
                for subject, versions in journal["releases"].items()
            },
        }
        self.ledger.record([Entry(RETENTION, journal["id"], journal["id"], None, body)])
        return body

    def _fingerprint(self, subject: str, version: str) -> str:
        return fingerprint(self.lake.subject(subject), int(version))
