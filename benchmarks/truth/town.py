"""A town that lives on, its deliveries admitted and linked as a run does it, its libraries built as of the day that the
town itself has reached. Gate, evidence and release say nothing of how right a library is, so they are left out.
"""

from collections.abc import Collection
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

from pipelines.contracts.load import Contracts
from pipelines.contracts.resolved import Authority
from pipelines.lake.zones import Lake
from pipelines.preparation import core_versions
from pipelines.run import opened
from tests.city import Town
from tests.dbt.libraries import Bench

DAYS = (1, 4, 9)
"""Days between deliveries. Before the last the household register has dropped rows of people who died or left,
which it shows for five days, without having been read."""
SOURCES = (
    "dsrb/division", "dsrb/division_change", "psb/household_person", "psb/floating_person", "psb/population_report",
    "psb/standard_address", "hrssb/insurance", "hc/health_record", "hc/birth_certificate", "cab/marriage",
    "cab/cremation", "cab/subsistence_allowance", "amr/enterprise", "amr/enterprise_change", "amr/shareholder",
    "amr/abnormal", "amr/annual_report", "cab/social_organisation", "sto/institution", "ara/collective",
    "txb/taxpayer", "dsrb/e_licence", "dsrb/e_licence_change", "dsrb/licence_expiry", "dsrb/licence_type", "drc/permit",
    "drc/penalty", "drc/penalty_publicity", "drc/reporting_limit", "drc/credit_list", "drc/credit_repair",
    "drc/credit_commitment", "drc/credit_weight", "drc/credit_grade", "sb/macro_series", "sb/macro_observation",
)  # fmt: skip
"""What persons, entities, licences, credit and the macro-economy are made of; addresses are measured elsewhere."""


class LivedTown:
    """One town under `home`. `day` counts deliveries."""

    def __init__(self, home: Path, persons: int, seed: int) -> None:
        self.town = Town(home, persons, seed)
        self.city = self.town.city
        self.deliveries = 0
        self.bench: Bench | None = None
        self.work = home / "benches" / "bench"
        self.work.parent.mkdir()

    def deliver(self, sources: Collection[str] = SOURCES) -> None:
        """Admit what the departments show, and link it. A source that is late stays as it was."""
        self.deliveries += 1
        with opened(self.town.settings, f"delivery {self.deliveries}") as run:
            for name in sources:
                done = run.ingest(name)
                assert done.status not in ("failed", "held"), (name, done.message)
            versions = core_versions(run.contracts, run.lake, run.receipts)
            run.preparation.prepare(versions, self.deliveries)
            self.bench = Bench(run.lake, run.contracts, self.work)

    def live(self, days: int) -> None:
        """Let days pass."""
        self.city.tick(days)

    def build(self, *models: str, authority: Authority | None = None, day: date | None = None) -> None:
        """Build models as of the town's day or another one, by the matrix or by another one."""
        bench = self.built
        if authority is not None:
            bench = Bench(bench.lake, replace(bench.contracts, authority=authority), bench.work)
        bench.build(*models, day=day or self.today)
        self.built.locations |= bench.locations

    def rows(self, model: str, columns: str, where: str = "true") -> list[tuple[Any, ...]]:
        """Rows of what was built last."""
        return self.built.rows(model, columns, where)

    @property
    def built(self) -> Bench:
        assert self.bench is not None, "nothing was delivered yet"
        return self.bench

    @property
    def today(self) -> date:
        """The town's day."""
        return self.city.today

    @property
    def contracts(self) -> Contracts:
        return self.built.contracts

    @property
    def lake(self) -> Lake:
        return self.built.lake

    def close(self) -> None:
        """Stop the town's servers."""
        self.town.close()
