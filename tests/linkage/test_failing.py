"""What is shown to models when linkage fails: what was linked before, or nothing if nothing ever was."""

from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from pipelines.contracts.dbt import generated
from pipelines.contracts.load import Contracts
from pipelines.failures import Failures
from pipelines.issues import Issues
from pipelines.lake.edition import Prepared
from pipelines.lake.models import models
from pipelines.linkage import step
from pipelines.linkage.reviews import Reviews
from pipelines.preparation import LINKAGE, Preparation
from pipelines.register import Register
from pipelines.register.receipts import Receipts
from pipelines.release import plan
from pipelines.settings import REPOSITORY, Settings
from tests.dbt.libraries import PROJECT, Bench, new_bench
from tests.linkage.test_step import PERSON, RECORD, RECORDS, REGISTER

TODAY = date(2026, 11, 1)


class Home:
    """A home with a register of households and health records in core."""

    def __init__(self, folder: Path, contracts: Contracts) -> None:
        self.bench: Bench = new_bench(folder, contracts)
        self.settings = Settings(folder, REPOSITORY, 0, 0, f"sqlite:///{folder / 'register.db'}")
        self.settings.prepare()
        self.register = Register(self.settings.register_url)
        self.register.upgrade()
        self.issues, self.runs = Issues(self.register), 0
        self.bench.load(REGISTER, {**PERSON, "record_no": "1"})
        self.bench.load(RECORDS, RECORD)
        self.delivered = {REGISTER, RECORDS}

    def prepare(self) -> tuple[Mapping[str, Prepared], list[str]]:
        """As a run does; what models are shown, and what failed."""
        self.runs += 1
        receipts, reviews = Receipts(self.register, f"run {self.runs}"), Reviews(self.register)
        failures = Failures(receipts, self.issues, self.settings.home / "logs" / "test.log")
        about = (self.settings, self.bench.contracts, receipts, self.issues, reviews, failures, TODAY)
        sources = {name: one for name, one in self.bench.versions() if name in self.delivered}
        return Preparation(*about).prepare(sources, self.runs), list(failures.subjects)

    def told(self) -> set[str]:
        return {row["code"] for row in self.issues.open(LINKAGE)}


@pytest.fixture
def home(tmp_path: Path, contracts: Contracts) -> Iterator[Home]:
    made = Home(tmp_path / "home", contracts)
    yield made
    made.register.close()


def fails(*_: Any) -> None:
    raise MemoryError


def test_a_first_city_is_not_built_without_links(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(step, "link", fails)
        shown, failed = home.prepare()
    assert failed == [LINKAGE] and home.told() == {"run.failed", "linkage.never"}
    assert not [name for name in shown if name.startswith("linkage.")]
    shown, failed = home.prepare()
    assert failed == [] and home.told() == set()
    assert {"linkage.link", "linkage.alias"} <= shown.keys()


def test_what_was_linked_before_stands_and_is_told(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    before, _ = home.prepare()
    home.bench.load(RECORDS, {**RECORD, "health_record_no": "E2"}, batch=2)
    monkeypatch.setattr(step, "link", fails)
    shown, failed = home.prepare()
    assert failed == [LINKAGE] and home.told() == {"run.failed", "linkage.before"}
    assert {name: one.version for name, one in shown.items()} == {name: one.version for name, one in before.items()}


def test_a_source_that_joins_is_not_built_without_links(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    home.delivered = {REGISTER}
    home.prepare()
    home.delivered = {REGISTER, RECORDS}
    with monkeypatch.context() as broken:
        broken.setattr(step, "link", fails)
        shown, failed = home.prepare()
    assert failed == [LINKAGE] and home.told() == {"run.failed", "linkage.never"}
    assert not [name for name in shown if name.startswith("linkage.")]
    assert "linkage.link" in home.prepare()[0] and home.told() == set()


def test_only_what_stands_on_links_waits_for_them(contracts: Contracts, tmp_path: Path) -> None:
    graph = models(PROJECT, tmp_path, generated(contracts, TODAY))
    read = {source for model in graph.values() for source in model.sources}
    everything = dict.fromkeys(read, 1)
    built = plan.model_inputs(graph, PROJECT, contracts, everything, TODAY)
    unlinked = {name: 1 for name in everything if not name.startswith("linkage.")}
    without = plan.model_inputs(graph, PROJECT, contracts, unlinked, TODAY)
    assert "lib_population__person" in built.keys() - without.keys()
    assert {"mart_eco_env__air_hour", "lib_macro__series"} <= without.keys()
