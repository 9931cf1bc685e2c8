"""Refused rows against what the simulator planted: recall and precision per kind, on a city nobody chose."""

import json
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from pipelines.admission.admit import DUPLICATE
from pipelines.contracts.load import Contracts
from pipelines.lake import delta
from simulator import Planted
from tests.city import Town, seed_from_clock
from tests.release.test_whole_way import SOURCE, differences

pytestmark = pytest.mark.slow

KINDS = ("completeness", "format", "check_digit", "code", "range", "consistency", "duplicate")
DAYS = 3


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    seed = seed_from_clock()
    print(f"\ncity seed {seed} (repeat with CITYLAKE_TEST_SEED)")
    town = Town(tmp_path, persons=60_000, seed=seed)
    yield town
    town.close()


def test_everything_planted_is_refused_and_nothing_else(town: Town, contracts: Contracts) -> None:
    for day in range(DAYS):
        if day:
            town.city.tick()
        batch = town.run(f"day {day}")[SOURCE].admitted.batch
        refused = refused_kinds(town, contracts, batch)
        planted = active(town)
        for kind in KINDS:
            recall, precision = scores(kind, refused, planted)
            print(f"day {day} {kind}: recall {recall:.4f}, precision {precision:.4f}")
            assert (recall, precision) == (1.0, 1.0)
        assert set(refused) == {item.rybh for item in planted if item.refusable}
        assert differences(town) == []


def active(town: Town) -> list[Planted]:
    return [item for item in town.city.planted() if item.ended is None]


def refused_kinds(town: Town, contracts: Contracts, batch: int) -> dict[str, set[str]]:
    """The kinds of rules that refused a row of each record number in a batch."""
    contract = contracts.sources[SOURCE]
    location = town.settings.lake.quarantine(contract.org, contract.dataset)
    read = delta.scan(delta.open_table(location))
    rows = duckdb.sql(f"SELECT rules, delivered FROM {read.source} WHERE _batch = {batch}").fetchall()
    known = {rule.id: rule.about.kind.value for rule in contract.rules} | {DUPLICATE: "duplicate"}
    found: dict[str, set[str]] = {}
    for rules, delivered in rows:
        kinds = {known.get(rule, "format") for rule in rules.split(",")}  # `<column>.type` is no rule of the contract
        found.setdefault(json.loads(delivered)["RYBH"], set()).update(kinds)
    return found


def scores(kind: str, refused: dict[str, set[str]], planted: list[Planted]) -> tuple[float, float]:
    """Recall and precision of one kind, by record number."""
    due = {item.rybh for item in planted if item.kind == kind}
    allowed = due | {item.rybh for item in planted if kind in item.also}
    hit = {record for record, found in refused.items() if kind in found}
    return len(due & hit) / len(due), len(hit & allowed) / len(hit)
