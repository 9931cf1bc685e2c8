"""A whole installation for tests: a home, the simulated departments, and runs of the engine without Dagster."""

import os
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pytest

from pipelines import synthetic
from pipelines.contracts.load import load
from pipelines.lake import delta
from pipelines.linkage import tables
from pipelines.linkage.bearers import BEARER, SHARED
from pipelines.register import Register
from pipelines.release.editor import Outcome
from pipelines.release.ledger import Ledger, Recorded
from pipelines.run import Ingested, Run, opened
from pipelines.settings import Settings
from simulator import DemoCity, DirtRates
from tests.catalog.small_city import appoint
from tests.once import copy_city, made_once

NORMAL = DirtRates()
REPOSITORY = Path(__file__).resolve().parent.parent
HOME = "lake home"
PERSONS = 4_000
"""Inhabitants of a published town."""


class Town:
    """One home with a small city. `project` may be a changed copy of the repository's contracts and models."""

    def __init__(
        self, home: Path, persons: int, seed: int = 1, project: Path = REPOSITORY, dirt: DirtRates = NORMAL
    ) -> None:
        self.settings = Settings(home / HOME, project, 0, 0, f"sqlite:///{home / HOME / 'register.db'}")
        self.city = DemoCity(home / "city", seed, persons, dirt)
        self.city.start()
        self.city.populate()
        self.settings.prepare()
        synthetic.feed(self.settings, self.city.connections())

    def run(
        self,
        run_id: str = "test",
        before: Callable[[Run], None] | None = None,
        sources: Collection[str] | None = None,
    ) -> dict[str, Ingested | Outcome]:
        """One run as the Dagster job does it, of all sources or of some; what became of every source and subject."""
        with opened(self.settings, run_id) as run:
            if before:
                before(run)
            chosen = run.contracts.sources if sources is None else sources
            outcomes: dict[str, Ingested | Outcome] = {name: run.ingest(name) for name in chosen}
            return outcomes | {outcome.subject: outcome for outcome in run.publish()}

    @contextmanager
    def register(self) -> Iterator[Register]:
        register = Register(self.settings.register_url)
        try:
            yield register
        finally:
            register.close()

    def published(self) -> dict[str, Recorded]:
        with self.register() as register:
            return Ledger(register).published()

    def rows(
        self, subject: str, columns: str = "*", where: str = "true", version: int | None = None
    ) -> list[tuple[Any, ...]]:
        """Rows of a published subject, read through the ledger's version or an older one."""
        if version is None:
            version = self.published()[subject].version
        read = delta.scan(delta.open_table(self.settings.lake.subject(subject), version))
        return duckdb.sql(f"SELECT {columns} FROM {read.source} WHERE {where} ORDER BY ALL").fetchall()

    def accepted(self, dataset: str, key: str) -> list[dict[str, str | None]]:
        """The rows of a register that nothing forbids to accept, as they were delivered; of what came twice one."""
        planted = [item for item in self.city.planted() if item.dataset == dataset and item.ended is None]
        gone = {one.rybh for one in planted if one.kind == "absent" or (one.refusable and one.kind != "duplicate")}
        told: dict[str, dict[str, str | None]] = {}
        for one in planted:
            if one.kind in ("reference", "apart", "outlying", "plausible", "certificate", "disputed"):  # good by itself
                told.setdefault(one.rybh, {})[one.column] = one.shown
        rows = self.city.records(dataset)
        return [row | told.get(row[key] or "", {}) for row in rows if row[key] not in gone]

    def shared_numbers(self) -> set[str | None]:
        """The identity numbers that are registered for two people, and prove nothing."""
        return {one.shown for one in self.city.planted() if one.kind == "shared" and one.ended is None}

    def alone(self, column: str) -> str:
        """SQL of whether a column holds somebody whose number no other person has: nobody else is erased by order."""
        shared = f"{tables.read(self.settings.lake, tables.LINK)} WHERE why IN ('{SHARED}', '{BEARER}')"
        return f"{column} NOT IN (SELECT person_id FROM {shared} AND person_id IS NOT NULL)"

    def close(self) -> None:
        self.city.stop()


def published_town(factory: pytest.TempPathFactory, folder: Path, project: Path = REPOSITORY) -> Town:
    """A town in `folder` of which everything was published by the run `first`, with users; nobody else has it.

    That run costs a minute, so it is made once a session and copied.
    """

    def make(home: Path) -> None:
        made = Town(home, PERSONS)
        made.run("first")
        with made.register() as register:
            appoint(register, load(made.settings.contracts))
        made.close()

    copy_city(made_once(factory, "published town", make), folder)
    return Town(folder, PERSONS, project=project)


def seed_from_clock() -> int:
    """A seed nobody chose; print it, so that a failure can be repeated with CITYLAKE_TEST_SEED."""
    return int(os.environ.get("CITYLAKE_TEST_SEED") or int.from_bytes(os.urandom(4), "big"))
