"""A whole installation for tests: a home, the simulated departments, and runs of the engine without Dagster."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from pipelines.lake import delta
from pipelines.lake.zones import library_of
from pipelines.register import Register
from pipelines.release.editor import Outcome
from pipelines.release.ledger import Ledger, Recorded
from pipelines.run import Ingested, Run, opened
from pipelines.settings import Settings
from simulator import DemoCity, DirtRates

NORMAL = DirtRates()
REPOSITORY = Path(__file__).resolve().parent.parent


class Town:
    """One home with a small city. `project` may be a changed copy of the repository's contracts and models."""

    def __init__(
        self, home: Path, persons: int, seed: int = 1, project: Path = REPOSITORY, dirt: DirtRates = NORMAL
    ) -> None:
        self.settings = Settings(home / "lake home", project, 0, 0, f"sqlite:///{home / 'lake home' / 'register.db'}")
        self.city = DemoCity(home / "city", seed, persons, dirt)
        self.city.start()
        self.city.populate()
        self.settings.prepare()
        for secret, address in self.city.connections().items():
            self.settings.store_secret(secret, address)

    def run(self, run_id: str = "test", before: Callable[[Run], None] | None = None) -> dict[str, Ingested | Outcome]:
        """One run as the Dagster job does it; what became of every source and subject."""
        with opened(self.settings, run_id) as run:
            if before:
                before(run)
            outcomes: dict[str, Ingested | Outcome] = {name: run.ingest(name) for name in run.contracts.sources}
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
        channel, _, product = subject.partition("/")
        lake = self.settings.lake
        location = lake.product(channel, product) if product else lake.released(library_of(subject), subject)
        read = delta.scan(delta.open_table(location, version))
        return duckdb.sql(f"SELECT {columns} FROM {read.source} WHERE {where} ORDER BY ALL").fetchall()

    def close(self) -> None:
        self.city.stop()


def seed_from_clock() -> int:
    """A seed nobody chose; print it, so that a failure can be repeated with CITYLAKE_TEST_SEED."""
    return int(os.environ.get("CITYLAKE_TEST_SEED") or int.from_bytes(os.urandom(4), "big"))
